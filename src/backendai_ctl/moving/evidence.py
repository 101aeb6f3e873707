"""Which of Debian's servers on this host hold data of this site, by what the earlier release left.

Nobody is asked to find out: a server without these traces is somebody else's. What services were given
when they were configured last names the port; render-configs waits until all is moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal
from backendai_ctl.etcd import access
from backendai_ctl.moving import record
from backendai_ctl.platform import files, units
from backendai_ctl.rendering.render import base_path
from backendai_ctl.site.values import LOOPBACK, bracketed, split_host_port
from backendai_ctl.topology import own_servers
from backendai_ctl.topology.listeners import server_port

STEP = "move-servers"
_PORTS = {"postgresql": 5432, "valkey": 6379, "etcd": 2379}
_WRITTEN = "# Written by backendai-ctl"
# (component, path of keys in what it was given)
_NAMED = {
    "postgresql": (
        *(("manager", ("db", "addrs")), ("manager", ("db", "addr"))),
        *(("appproxy-coordinator", ("db", "addrs")), ("appproxy-coordinator", ("db", "addr"))),
    ),
    "valkey": (
        *(("appproxy-coordinator", ("redis", "addr")), ("webserver", ("session", "redis", "addr"))),
        ("appproxy-worker", ("redis", "addr")),
    ),
    "etcd": tuple((name, ("etcd", "addr")) for name in ("manager", "storage-proxy", "agent")),
}
_DATA = {"postgresql": "17/PG_VERSION", "valkey": "appendonlydir", "etcd": "member"}


@dataclass(frozen=True)
class Former:
    """A server of Debian's that has data of this site; `name` is that of ours."""

    name: str
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def find(ctx: Context) -> list[Former]:
    """The servers whose data is to be moved, or is being moved, to this host's own."""
    begun = record.read(ctx)
    here = [name for name in _PORTS if own_servers.here(ctx, name)]
    if begun.state in ("", record.DONE):
        if not _earlier(ctx, since=begun.time):
            return []
    else:
        named = ((name, at) for name, at in begun.servers.items() if name in here)
        return [Former(name, *split_host_port(at)) for name, at in named]
    looks = (_look(ctx, name) for name in here)
    return [former for former in looks if former]


def drop_in(unit: str) -> units.File:
    """The drop-in that the earlier release wrote for a unit of Debian's."""
    return units.drop_in(unit, "backendai.conf", "")


def ours(path: Path) -> bool:
    """Whether a file was written by us."""
    return (files.read(path) or "").startswith(_WRITTEN)


def _earlier(ctx: Context, since: str) -> bool:
    """Whether this host was configured (after that time), and no run that knows of the move ended well.

    A host that went back to the earlier release has its data in Debian's servers again.
    """
    last = Journal(ctx.paths.ctl).last()
    steps = last.get("steps", {})
    return bool(steps) and last["finished"] > since and steps.get(STEP, {}).get("state") != "done"


def _look(ctx: Context, name: str) -> Former | None:
    named = next((at for row in _NAMED[name] if (at := _given(ctx, *row))), None)
    if not _set_up(ctx, name, bool(named)):
        return None
    host, port = named or (LOOPBACK, _PORTS[name])
    server = ctx.facts.servers.get(name)
    same = server and port == server_port(ctx.site, server, next(iter(server.ports)))
    if same and (ctx.paths.state / name / _DATA[name]).exists():
        return None  # that is ours already
    return Former(name, host, port)


def _set_up(ctx: Context, name: str, named: bool) -> bool:
    """Whether we set up a server of that name on this host."""
    if name == "postgresql":  # it got no file of ours where one host is the whole site
        generated = any(ctx.secrets.exists(d.secret) for d in ctx.facts.databases())
        return named and (generated or _created(ctx))
    if name == "etcd" and not access.administered(ctx):  # used as it was
        return named
    unit = {"valkey": "valkey-server.service", "etcd": "etcd.service"}[name]
    return ours(drop_in(unit).path)


def _created(ctx: Context) -> bool:
    return any(e.get("step") == "create-databases" for e in Journal(ctx.paths.ctl).events())


def _given(ctx: Context, component: str, keys: tuple[str, ...]) -> tuple[str, int] | None:
    """The address that a component was given last; None if it was given none."""
    known = ctx.facts.components.get(component)
    text = files.read(base_path(ctx, known)) if known else None
    try:
        found: Any = tomllib.loads(text or "")
        for key in keys:
            found = found[key]
        if isinstance(found, list):
            found = found[0]
        if isinstance(found, str):
            return split_host_port(found)
        return str(found["host"]), int(found["port"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
