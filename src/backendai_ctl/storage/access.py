"""One user on every node: is it so, seen from this host, down to the files on the server?"""

from __future__ import annotations

import errno
import json
import secrets
import socket
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import tomllib

import backendai_ctl
from backendai_ctl.context import Context
from backendai_ctl.errors import OutOfTime, Problem
from backendai_ctl.platform import files
from backendai_ctl.platform.run import run
from backendai_ctl.platform.together import together
from backendai_ctl.result import Result, fail, ok, warn
from backendai_ctl.storage import mounts
from backendai_ctl.topology.places import Place

TIMEOUT = 15.0  # seconds for one part of the trial
# The trial without our environment: its user need not be able to read that.
_TRIAL = f"""
import sys
sys.path.append({str(Path(backendai_ctl.__file__).parents[1])!r})
from backendai_ctl.storage.trial import main
main()
"""
PROGRAM = [sys.executable, "-I", "-S", "-c", _TRIAL]
_TABLE, _KEYS = "container", ("kernel-uid", "kernel-gid")  # of the agent's configuration
_DEFAULT = -1  # upstream's: as the process of the agent itself


def node(ctx: Context) -> str:
    """What reports call this host."""
    return ctx.node or socket.gethostname().partition(".")[0]


def of_host(ctx: Context) -> list[Result]:
    """The numbers that this host uses: the account, and the settings of agent and containers."""
    return [_account(ctx), *(_configured(ctx) if ctx.here("agent") else [])]


def of_volume(ctx: Context, place: Place) -> list[Result]:
    """A volume, used as the services do. Never hangs."""
    found = _mount(place)
    if not all(seen.ok for seen in found):
        return found
    name = f".backendai-check-{node(ctx)}-{secrets.token_hex(16)}"
    try:
        return [*found, *_trial(ctx, place, name)]
    except OutOfTime:
        hint = f"see to {place.source or place.path}; stopped clients go on once it answers"
        return [*found, fail(f"none within {TIMEOUT:.0f} s", hint, name="answer")]


def of_volumes(ctx: Context, wanted: Iterable[Place], timeout: float) -> dict[str, list[Result]]:
    """`of_volume` of several at once, by their names, for at most `timeout` seconds."""
    jobs = {place.name: partial(of_volume, ctx, place) for place in wanted}
    late = [fail("none in time", "see: backendai-ctl storage status", name="answer")]
    return together(jobs, timeout=timeout, late=late)


def must_pass(ctx: Context, place: Place) -> None:
    """Problem for the first thing that keeps a volume from being used."""
    for seen in of_volume(ctx, place):
        if not seen.ok:
            raise Problem(
                f"volume {place.name} ({place.source or place.path}) on {node(ctx)}: "
                f"{seen.name}: {seen.message}",
                hint=seen.hint,
            )


def _account(ctx: Context) -> Result:
    try:
        uid, gid = ctx.owner
    except Problem as problem:
        return fail(problem.message, problem.hint, name="user")
    return ok(f"{ctx.facts.user} is {uid}:{gid}", name="user")


def _configured(ctx: Context) -> list[Result]:
    path = ctx.paths.config / ctx.facts.components["agent"].config
    try:
        data: dict[str, Any] = tomllib.loads(files.read(path) or "")
    except (Problem, ValueError):
        return []  # not ours to say here: the agent would not start
    made = []
    for key, wanted in zip(_KEYS, ctx.numbers, strict=True):
        value = data.get(_TABLE, {}).get(key, _DEFAULT)
        if value not in (_DEFAULT, wanted):
            hint = f"remove {key} from [{_TABLE}] of {path}; then: backendai-ctl reconfigure"
            made.append(fail(f"containers run as {value}, not {wanted}", hint, name=key))
    uid, gid = ctx.numbers
    return made or [ok(f"containers run as {uid}:{gid}", name="containers")]


def _mount(place: Place) -> list[Result]:
    if not place.remote:
        return []
    found = mounts.now(place)
    if not found:
        hint = f"run: backendai-ctl storage mount {place.name}"
        return [fail(f"{place.path} is not mounted", hint, name="mount")]
    source, how = found
    if source != place.source and not source.startswith("/"):  # a path: a stand-in for NFS
        hint = f"run: umount {place.path}; backendai-ctl storage mount {place.name}"
        return [fail(f"{source} is mounted, not {place.source}", hint, name="mount")]
    if "ro" in how:
        return [fail(f"{place.source} is mounted read-only", _writable(place), name="mount")]
    return [ok(f"{place.source} at {place.path}", name="mount")]


def _trial(ctx: Context, place: Place, name: str) -> list[Result]:
    try:
        user = ctx.user
    except Problem as problem:
        return [fail(problem.message, problem.hint, name="user")]
    done = _run("user", place, name, user)
    if done["failed"]:
        found = [_refused(ctx, place, done)]
    else:
        found = [_owner(ctx, place, done)]
        found.append(ok(f"{user} writes, reads, renames and locks", name="use"))
        if place.remote:
            found.append(_root(ctx, place, _run("root", place, name, None)))
    _run("clean", place, name, user)
    return found


def _run(part: str, place: Place, name: str, user: str | None) -> dict[str, Any]:
    done = run([*PROGRAM, part, str(place.path), name], user=user, timeout=TIMEOUT)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    except ValueError:
        return {"failed": part, "error": done.tail or f"exit status {done.returncode}"}


def _refused(ctx: Context, place: Place, done: dict[str, Any]) -> Result:
    who = f"{ctx.facts.user} ({ctx.facts.uid}:{ctx.facts.gid})"
    if done.get("errno") == errno.EROFS:
        return fail(f"{place.source or place.path} is read-only", _writable(place), name="use")
    if done.get("errno") in (errno.EACCES, errno.EPERM):
        folder = place.volume.export if place.remote else place.path
        uid, gid = ctx.numbers
        where = f"on {place.volume.server}: " if place.remote else ""
        hint = f"{where}chown {uid}:{gid} {folder}"
        return fail(f"{who} may not {done['failed']}: {done['error']}", hint, name="use")
    hint = "see the journal of this host and of the server"
    if done["failed"] == "lock":
        hint = "the server has to offer locks: NFS 4 does, and no option nolock"
    return fail(f"{who} cannot {done['failed']}: {done['error']}", hint, name="use")


def _owner(ctx: Context, place: Place, done: dict[str, Any]) -> Result:
    uid, gid = ctx.numbers
    saw = f"a file of {ctx.facts.user} belongs to {done['uid']}:{done['gid']}"
    if (done["uid"], done["gid"]) == ctx.numbers:
        return ok(saw, name="ids")
    server = place.volume.server or node(ctx)
    hint = (
        f"on {server}: no all_squash to another user, and the same numbers: "
        f"sec=sys, Domain equal or numeric ids ({uid}:{gid})"
    )
    return fail(f"{saw}, not {uid}:{gid}", hint, name="ids")


def _root(ctx: Context, place: Place, done: dict[str, Any]) -> Result:
    """Root of a node is its container engine, which mounts folders of users into containers."""
    user, (uid, gid) = ctx.facts.user, ctx.numbers
    wanted = f"on {place.volume.server}: root_squash,anonuid={uid},anongid={gid}"
    if done["failed"] == "enter":
        level = "fail" if ctx.here("agent") else "warn"
        saw = f"root of {node(ctx)} may not enter folders of {user}: containers cannot mount them"
        return Result(level, saw, wanted, name="squash")
    if done["failed"]:
        return warn(f"root cannot {done['failed']}: {done['error']}", wanted, name="squash")
    if done["uid"] == 0:
        saw = f"root of {node(ctx)} is root on {place.volume.server}"
        return warn(saw, wanted, name="squash")
    name = f"{user} " if done["uid"] == uid else ""
    return ok(f"root is {name}{done['uid']}:{done['gid']} there", name="squash")


def _writable(place: Place) -> str:
    if place.remote:
        return f"on {place.volume.server}: export {place.volume.export} with rw, and `mount` it rw"
    return f"mount it for writing: findmnt -T {place.path}"
