"""Checks of the services' user and of who may read secrets."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.doctor.report import Result, fail, ok, skip, warn, worst
from backendai_ctl.site.node_rules import named_files


def user(ctx: Context) -> Result:
    """The user has the number that is the same on every node: files on NFS belong to numbers."""
    facts = ctx.facts
    others = [
        p.pw_name for p in pwd.getpwall() if p.pw_uid == facts.uid and p.pw_name != facts.user
    ]
    if others:
        hint = "give that account another number, then install again"
        return fail(f"UID {facts.uid} belongs to {', '.join(others)}", hint)
    try:
        found = pwd.getpwnam(facts.user)
    except KeyError:
        return skip(f"{facts.user} does not exist yet; UID {facts.uid} is free")
    if found.pw_uid != facts.uid:
        hint = f"run: usermod -u {facts.uid} {facts.user}; then give its files to it"
        return fail(f"{facts.user} has UID {found.pw_uid}, not {facts.uid}", hint)
    return ok(f"{facts.user} is {facts.uid}")


def group(ctx: Context) -> Result:
    facts = ctx.facts
    others = [
        g.gr_name for g in grp.getgrall() if g.gr_gid == facts.gid and g.gr_name != facts.user
    ]
    if others:
        hint = "give that group another number, then install again"
        return fail(f"GID {facts.gid} belongs to {', '.join(others)}", hint)
    try:
        found = grp.getgrnam(facts.user)
    except KeyError:
        return skip(f"{facts.user} does not exist yet; GID {facts.gid} is free")
    if found.gr_gid != facts.gid:
        hint = f"run: groupmod -g {facts.gid} {facts.user}; then give its files to it"
        return fail(f"{facts.user} has GID {found.gr_gid}, not {facts.gid}", hint)
    members = [name for name in found.gr_mem if name != facts.user]
    if members:
        return warn(f"{', '.join(members)} in group {facts.user}", "take them out: gpasswd -d")
    return ok(f"{facts.user} is {facts.gid}")


def secrets(ctx: Context) -> Result:
    """Secrets, configurations with passwords in them and private keys are root's alone."""
    ours, given = list(_ours(ctx)), list(_given(ctx))
    results = [_private(path, 0o077) for path in ours] + [_private(path, 0o007) for path in given]
    if not results:
        return skip("no secrets yet")
    return worst(results, fine=f"{len(results)} files, closed to everybody else")


def _private(path: Path, forbidden: int) -> Result:
    now = path.stat()
    mode = stat.S_IMODE(now.st_mode)
    if now.st_uid == os.geteuid() and not mode & forbidden:
        return ok(str(path))
    hint = f"run: chown root {path}; chmod 600 {path}"
    return fail(f"{path} has mode {mode:04o} and belongs to UID {now.st_uid}", hint)


def _ours(ctx: Context) -> Iterator[Path]:
    paths = ctx.paths
    yield from (path for path in sorted(paths.secrets.glob("*")) if path.is_file())
    configs = [paths.config / component.config for component in ctx.facts.components.values()]
    yield from (path for path in configs if path.is_file())
    yield from sorted((paths.config / "rpc").glob("*_secret"))
    yield from sorted(paths.tls.rglob("*.key"))


def _given(ctx: Context) -> Iterator[Path]:
    """The operator's own, named in the site file; a group may read them."""
    for loc, path in named_files(ctx.site).items():
        if loc[-1] in ("key", "password_file", "backend_options") and path.is_file():
            yield path
