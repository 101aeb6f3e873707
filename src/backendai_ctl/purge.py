"""Removing a site from this host: settings always, data only when that was asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.nodes import here, hosts
from backendai_ctl.reconfigure import exclusive
from backendai_ctl.steps import engine
from backendai_ctl.steps.create_databases import psql
from backendai_ctl.steps.plan import steps as all_steps
from backendai_ctl.storage import volumes
from backendai_ctl.system import files

Work = tuple[str, Callable[[], object]]  # what it is, for people, and how it goes

# Folders of any host: whatever says that one is a volume, it holds more than that.
_SYSTEM = frozenset(
    Path("/", name)
    for name in (
        *("", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc"),
        *("root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"),
    )
)


def purge(ctx: Context, *, data: bool, dry_run: bool) -> list[str]:
    """Undo every step, last first; with `data` remove what users stored as well.

    Returns what was removed (with dry_run: what would be), and what is left though it was asked
    for. What cannot be removed is told and does not keep the others. Raises Problem at the end
    if something could not.
    """
    steps = [step for step in engine.ordered(all_steps()) if engine.concerned(step, ctx)]
    work: list[Work] = [(f"undo {step.name}", partial(step.undo, ctx)) for step in reversed(steps)]
    work += _lines_of_nodes()
    left: list[Path] = []
    if data:
        made, left = _volumes(ctx)
        work += [_database(ctx, name, role) for name, role in _databases(ctx)]
        work += [_folder(path) for path in [*_folders(ctx), *made]]
    name = here.name_file(ctx.facts)
    done = [what for what, _ in work] + [str(name)] * name.exists()
    done += [f"left {path}: not made by backendai-ctl" for path in left]
    if dry_run:
        return done
    failed = []
    with exclusive(ctx):
        for what, remove in work:
            ctx.say(f"Purge: {what}")
            try:
                remove()
            except Problem as problem:
                failed.append(f"{what}: {problem.what}")
        shutil.rmtree(ctx.paths.ctl, ignore_errors=True)
        _remove_if_empty([ctx.paths.tls, ctx.paths.config / "rpc"])
        if not failed:  # else the next try has to know which node this is
            name.unlink(missing_ok=True)
    if failed:
        again = " --data" if data else ""
        raise Problem("; ".join(failed), hint=f"mend it, then run: backendai-ctl purge{again}")
    return done


def _remove_if_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _lines_of_nodes() -> list[Work]:
    """What `node hosts` wrote, if it did: no step knows of it."""
    if hosts.BEGIN not in (files.read(hosts.FILE) or "").splitlines():
        return []
    return [(f"lines of the nodes in {hosts.FILE}", partial(hosts.write, [], hosts.FILE))]


def _folders(ctx: Context) -> list[Path]:
    """Folders of ours that hold data: secrets, key pair, dumps, state."""
    ours = [ctx.paths.secrets, ctx.paths.config / "rpc", ctx.paths.backups]
    ours += [ctx.paths.state / name for name in ctx.facts.components]
    return [path for path in ours if path.is_dir()]


def _volumes(ctx: Context) -> tuple[list[Path], list[Path]]:
    """Local volumes that there are: those that we made, and others."""
    made: list[Path] = []
    left: list[Path] = []
    for path in [place.path for place in volumes.places(ctx) if not place.remote]:
        found = volumes.look(ctx, path)
        mine = found.version == volumes.VERSION and _is_ours(ctx, path)
        if found.kind != "absent":
            (made if mine else left).append(path)
    return made, left


def _is_ours(ctx: Context, path: Path) -> bool:
    """Whether a folder is the services' user's, and nothing that we keep or mount is below it."""
    now, real = path.stat(), path.resolve()
    paths = ctx.paths
    kept = [paths.config, paths.state, paths.run, paths.environment, paths.backups, paths.share]
    kept += [place.path for place in volumes.places(ctx) if place.remote]
    return (
        (now.st_uid, now.st_gid) == ctx.owner
        and real not in _SYSTEM
        and not path.is_symlink()
        and not any(other.is_relative_to(real) for other in kept)
    )


def _folder(path: Path) -> Work:
    return str(path), partial(shutil.rmtree, path, ignore_errors=True)


def _databases(ctx: Context) -> list[tuple[str, str]]:
    """Databases on this host; others are not ours to drop."""
    if ctx.site.database.mode != "local":
        return []
    wanted = ctx.site.database
    found = {"manager": wanted.manager, "appproxy-coordinator": wanted.coordinator}
    return [(row.name, row.user) for component, row in found.items() if ctx.here(component)]


def _database(ctx: Context, name: str, role: str) -> Work:
    sql = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);\nDROP ROLE IF EXISTS "{role}";\n'
    return f"database {name}, role {role}", partial(psql, ctx, sql)
