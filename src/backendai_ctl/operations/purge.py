"""Removing a site from this host: settings always, data only when that was asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.errors import Problem
from backendai_ctl.nodes import hosts
from backendai_ctl.operations.reconfigure import exclusive
from backendai_ctl.platform import files, systemd, trees
from backendai_ctl.steps import start_services
from backendai_ctl.steps.plan import steps as all_steps
from backendai_ctl.storage import fates as fates_of
from backendai_ctl.storage import made
from backendai_ctl.topology import container_engine, here

Work = tuple[str, Callable[[], object]]  # what it is, for people, and how it goes


@dataclass(frozen=True)
class Purged:
    """What was removed, or would be, and what is left though it was asked for; each with its reason."""

    gone: list[str]
    left: list[str]


def purge(ctx: Context, *, data: bool, dry_run: bool, named: Collection[str] = ()) -> Purged:
    """Undo every step, last first; with `data` remove what users stored as well.

    `named` are the volumes to delete; without, all that may be. What cannot be removed is told and
    does not keep the others. Raises Problem at the end if something could not.
    """
    steps = [step for step in runner.ordered(all_steps(ctx.facts)) if runner.concerned(step, ctx)]
    work: list[Work] = [
        (f"undo {step.name}", partial(runner.undo, step, ctx)) for step in reversed(steps)
    ]
    if systemd.booted():  # after all steps: the servers, which some of them ask, stop with it
        what = f"stop {start_services.TARGET}"
        work.append((what, partial(systemd.systemctl, "stop", start_services.TARGET)))
    work += _lines_of_nodes()
    left: list[str] = []
    if data:
        fates = fates_of.of_volumes(ctx, named)
        folders, left = _folders(ctx)
        work += folders
        work += [(str(f), partial(_volume, ctx, f)) for f in fates if f.identity]
        left += [str(fate) for fate in fates if not fate.identity]
    name = here.name_file(ctx.facts)
    done = Purged([what for what, _ in work] + [str(name)] * name.exists(), left)
    if dry_run:
        return done
    failed = []
    with exclusive(ctx):
        for what, remove in work:
            ctx.say(f"Purge: {what}")
            try:
                remove()
            except Problem as problem:
                failed.append(f"{what}: {problem.message}")
        _forget(ctx)
        _remove_if_empty([ctx.paths.ctl, ctx.paths.tls, ctx.paths.config / "rpc"])
        if not failed:  # else the next try has to know which node this is
            name.unlink(missing_ok=True)
    if failed:
        sure = " --data --yes-delete-all-data" * data
        again = "".join([sure, *(f" --volumes {volume}" for volume in named)])
        raise Problem("; ".join(failed), hint=f"correct it, then run: backendai-ctl purge{again}")
    return done


def _forget(ctx: Context) -> None:
    """Remove what we kept for ourselves, but the record of volumes that are still there."""
    for path in sorted(ctx.paths.ctl.iterdir()) if ctx.paths.ctl.is_dir() else []:
        if path.name == made.NAME:
            continue
        with contextlib.suppress(Problem):  # as before it was asked for
            if path.is_dir() and not path.is_symlink():
                trees.remove(path)
            else:
                files.remove(path)


def _remove_if_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _lines_of_nodes() -> list[Work]:
    """What `node hosts` wrote, if it did: no step knows of it."""
    if hosts.BEGIN not in (files.read(hosts.FILE) or "").splitlines():
        return []
    return [(f"lines of the nodes in {hosts.FILE}", partial(hosts.write, [], hosts.FILE))]


def _folders(ctx: Context) -> tuple[list[Work], list[str]]:
    """Folders of ours that hold data, to remove: secrets, key pair, dumps, state. And those left.

    Databases, queues and etcd's keys go with the folders of the site's own servers.
    """
    ours = [ctx.paths.secrets, ctx.paths.config / "rpc", ctx.paths.backups]
    ours += [ctx.paths.state / name for name in (*ctx.facts.components, *ctx.facts.servers)]
    images = container_engine.own(ctx.facts).data
    work: list[Work] = []
    left = []
    for path in ours:
        if path.is_symlink():
            left.append(f"{path}: a link")
        elif (mounted := trees.mounts_in(path)) and (path != images or path in mounted):
            left.append(_mounted(path, mounted[0]))
        elif path == images:  # mounts of containers end before its turn comes
            work.append((str(path), partial(_unmounted, path)))
        elif path.is_dir():
            work.append((str(path), partial(trees.remove, path)))
    return work, left


def _mounted(path: Path, mount: object) -> str:
    return f"{path}: {mount} is mounted: umount it first"


def _unmounted(path: Path) -> None:
    """Remove a folder; Problem if something is mounted in it now."""
    if mounted := trees.mounts_in(path):
        raise Problem(_mounted(path, mounted[0]), hint=f"run: umount {mounted[0]}")
    trees.remove(path)


def _volume(ctx: Context, fate: fates_of.Fate) -> None:
    trees.remove(fate.place.path, fate.identity)
    made.forget(ctx, fate.place.path)
