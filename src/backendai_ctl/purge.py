"""Removing a site from this host: settings always, data only when that was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.reconfigure import exclusive
from backendai_ctl.steps import engine
from backendai_ctl.steps.plan import steps as all_steps
from backendai_ctl.storage.volumes import places
from backendai_ctl.system.run import run as run_program


def purge(ctx: Context, *, data: bool, dry_run: bool) -> list[str]:
    """Undo every step, last first; with `data` remove what users stored as well.

    Returns what was removed (with dry_run: what would be). A step that cannot be undone is told
    and does not keep the others. Raises Problem at the end if one could not.
    """
    steps = [step for step in engine.ordered(all_steps()) if engine.concerned(step, ctx)]
    done = [f"undo {step.name}" for step in reversed(steps)]
    places = _data(ctx) if data else []
    done += [f"{place}" for place in places]
    databases = _databases(ctx) if data else []
    done += [f"database {name}, role {role}" for name, role in databases]
    if dry_run:
        return done
    failed = []
    with exclusive(ctx):
        for step in reversed(steps):
            ctx.say(f"Undo {step.name}")
            try:
                step.undo(ctx)
            except Problem as problem:
                failed.append(f"{step.name}: {problem.what}")
        for name, role in databases:
            failed += _drop(name, role)
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(ctx.paths.ctl, ignore_errors=True)
        _remove_if_empty([ctx.paths.tls, ctx.paths.config / "rpc"])
    if failed:
        raise Problem("; ".join(failed), hint="mend it, then run: backendai-ctl purge")
    return done


def _remove_if_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _data(ctx: Context) -> list[Path]:
    """Folders that hold data: secrets, key pair, dumps, state, local volumes."""
    local = [place.path for place in places(ctx) if not place.remote]
    ours = [ctx.paths.secrets, ctx.paths.config / "rpc", ctx.paths.backups]
    ours += [ctx.paths.state / name for name in ctx.facts.components]
    return [place for place in [*ours, *local] if place.is_dir()]


def _databases(ctx: Context) -> list[tuple[str, str]]:
    """Databases on this host; others are not ours to drop."""
    if ctx.site.database.mode != "local":
        return []
    wanted = ctx.site.database
    found = {"manager": wanted.manager, "appproxy-coordinator": wanted.coordinator}
    return [(row.name, row.user) for component, row in found.items() if ctx.here(component)]


def _drop(name: str, role: str) -> list[str]:
    script = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);\nDROP ROLE IF EXISTS "{role}";\n'
    call = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", "-"]
    done = run_program(call, user="postgres", stdin=script)
    return [f"database {name}: {done.tail}"] if done.returncode else []
