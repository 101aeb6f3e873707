"""The move itself: all or nothing, and again after a kill at any instant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.moving import debian, etcd, postgresql, record, services, valkey
from backendai_ctl.moving.evidence import Former
from backendai_ctl.platform import deadline, files, resp, systemd
from backendai_ctl.services import serving
from backendai_ctl.topology import layout
from backendai_ctl.topology.listeners import server_port

# Each has check, ready, copy, others and retire.
_KINDS: dict[str, ModuleType] = {"postgresql": postgresql, "valkey": valkey, "etcd": etcd}
_AGAIN = "backendai-ctl reconfigure"
TAKE_BACK = 600  # seconds


def users(facts: Facts) -> tuple[str, ...]:
    """The components that use a server which may be moved."""
    return tuple(dict.fromkeys(name for server in _KINDS for name in facts.using(server)))


def move(ctx: Context, found: list[Former]) -> None:
    """Move what is in these servers to the site's own. Problem, and all is as before."""
    state = record.read(ctx).state
    if state != record.MOVED:
        if state in ("", record.DONE):
            found_at = {former.name: former.address for former in found}
            record.note(ctx, state=record.FOUND, servers=found_at, stopped={}, dumps={}, kept={})
        with _told():
            _copy(ctx, found)
    kept = {former.name: why for former in found if (why := _retire(ctx, former))}
    record.note(ctx, state=record.DONE, kept=kept)


def _copy(ctx: Context, found: list[Former]) -> None:
    try:
        for former in found:
            _refuse_same_port(ctx, former)
            debian.awake(former)
            _KINDS[former.name].check(ctx, former)
        for former in found:
            _KINDS[former.name].ready(ctx, former)
        services.stop(ctx, users(ctx.facts))
        said = [_KINDS[former.name].copy(ctx, former) for former in found]
        record.note(ctx, state=record.MOVED, stopped={})
    except BaseException:
        with deadline.anew(TAKE_BACK):  # although time may be out
            _take_back(ctx, found)
        raise
    ctx.say(f"  moved: {'; '.join(said)}")


def _take_back(ctx: Context, found: list[Former]) -> None:
    """Services as before, with the servers that they had; ours would only be in the way."""
    if record.read(ctx).state == record.MOVED:
        return
    old = ctx
    for former in found:
        with contextlib.suppress(Problem):
            serving.stop(ctx, former.name)
            systemd.forget_failures([ctx.facts.servers[former.name].unit])  # etcd ends with 1
        if former.name == "postgresql":
            old = postgresql.of(ctx, former)
    with contextlib.suppress(Problem):
        services.start(ctx, old)


def _retire(ctx: Context, former: Former) -> str:
    """Stop it if it is empty of others; else why it goes on. The site does not need it any more."""
    known, kind = debian.PACKAGES[former.name], _KINDS[former.name]
    try:
        with _told():
            # One that does not answer was stopped by a run that was cut off here.
            alive = debian.answers(former)
            why = (kind.others(ctx, former) if alive else "") or kind.retire(ctx, former, alive)
    except Problem as problem:
        why = problem.message
    ctx.say(
        f"  {known.title} of Debian goes on: {why}"
        if why
        else f"  {known.title} of Debian is stopped, its data stays in {known.data}; {known.package} may be "
        "removed later, see: backendai-ctl doctor"
    )
    return str(why)


def _refuse_same_port(ctx: Context, former: Former) -> None:
    server = ctx.facts.servers.get(former.name)
    if server and former.port == server_port(ctx.site, server, next(iter(server.ports))):
        table = layout.TABLES[former.name]
        key = "endpoints" if former.name == "etcd" else "port"
        raise Problem(
            f"[{table}] {key} in {ctx.paths.site_file} is the port of Debian's server "
            f"({former.address}), whose data has to move to the site's own",
            hint=f"take that line out of the site file, then run: {_AGAIN}",
        )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Failures of connections as Problems."""
    try:
        yield
    except resp.Refused as refused:
        raise Problem(f"Valkey: {refused}", hint=f"fix the cause, then run: {_AGAIN}") from refused
    except OSError as error:
        raise files.trouble(error) from error
