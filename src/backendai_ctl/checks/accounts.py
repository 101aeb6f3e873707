"""Checks of the services' user and of who may read secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
from backendai_ctl.validation.node_rules import named_files


def user(ctx: Context) -> Result:
    """The account is ours and has the numbers that are the same on every node."""
    facts, found = ctx.facts, accounts.known(ctx.facts)
    if wrong := accounts.in_the_way(facts, found):
        return fail(wrong.message, wrong.hint)
    if not found.account(facts.user):
        return skip(f"{facts.user} does not exist yet; its numbers and its name are free")
    if missing := accounts.missing_own(facts):  # Problem where one is somebody else's
        names = ", ".join(service.user for service in missing)
        return warn(f"no account {names}", "run: backendai-ctl reconfigure")
    return ok(f"{facts.user} is {facts.uid}:{facts.gid}")


def group(ctx: Context) -> Result:
    """Nobody else is a member of the services' group."""
    found = accounts.known(ctx.facts).group(ctx.facts.user)
    if found is None:
        return skip(f"there is no group {ctx.facts.user} yet")
    members = [name for name in found.members if name != ctx.facts.user]
    if members:
        hint = f"take each out: gpasswd -d NAME {ctx.facts.user}"
        return warn(f"{', '.join(members)} in group {ctx.facts.user}", hint)
    return ok(f"no other account is in {ctx.facts.user}")


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
    yield from (path for path in sorted(paths.secrets.rglob("*")) if path.is_file())
    configs = [paths.config / component.config for component in ctx.facts.components.values()]
    servers = ctx.facts.servers.values()
    configs += [paths.config / path for server in servers for path in server.templates]
    yield from (path for path in configs if path.is_file())
    yield from sorted((paths.config / "rpc").glob("*_secret"))
    yield from sorted(paths.tls.rglob("*.key"))


def _given(ctx: Context) -> Iterator[Path]:
    """The operator's own, named in the site file; a group may read them."""
    for loc, path in named_files(ctx.site, ctx.facts).items():
        if loc[-1] in ("key", "password_file", "backend_options") and path.is_file():
            yield path
