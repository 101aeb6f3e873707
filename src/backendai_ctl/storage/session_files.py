"""Copies of the agent's files that sessions have mounted, one for each release that has some.

An agent gives every session files of its own package: the kernel's runner, terminal, sshd. An upgrade
replaces them, and would take them from sessions that go on. So they are mounted out of
/var/lib/backendai/session-files/RELEASE; `current` there leads to the installed release's. One that is
not current goes when no container has it mounted any more. Where both are on one file system, the copy is
made of hard links and takes no room.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files, trees
from backendai_ctl.topology import container_engine

log = logging.getLogger(__name__)
PARTS = ("helpers", "kernel", "runner")  # below ai/backend of the agent's environment
CURRENT = "current"
_UNFINISHED = ".making"


def folder(ctx: Context) -> Path:
    return ctx.paths.state / "session-files"


def here(ctx: Context) -> Path:
    """Of the installed release."""
    return folder(ctx) / ctx.facts.full_version


def is_kept(ctx: Context) -> bool:
    """Whether the installed release's are there, and current."""
    link = folder(ctx) / CURRENT
    return here(ctx).is_dir() and link.is_symlink() and os.readlink(link) == here(ctx).name


def keep(ctx: Context) -> None:
    """Make that so. Raises Problem if the agent's files are not there, or do not fit on the disk."""
    files.make_folder(folder(ctx), mode=0o755)
    try:
        if not here(ctx).is_dir():
            _copy(ctx)
        link = folder(ctx) / f".{CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(here(ctx).name)
        link.replace(folder(ctx) / CURRENT)
        files.sync_folder(folder(ctx))
    except OSError as error:
        raise files.trouble(error, folder(ctx)) from error


def _copy(ctx: Context) -> None:
    unfinished = folder(ctx) / _UNFINISHED
    trees.remove(unfinished)
    origin = _origin(ctx)
    for part in PARTS:
        shutil.copytree(origin / part, unfinished / part, symlinks=True, copy_function=_link)
    os.sync()
    unfinished.replace(here(ctx))


def _origin(ctx: Context) -> Path:
    found = list(ctx.paths.environment.glob("lib/python3*/site-packages/ai/backend"))
    for part in PARTS:
        if len(found) != 1 or not (found[0] / part).is_dir():
            raise Problem(
                f"{ctx.paths.environment}: it has no ai/backend/{part}",
                hint="install backendai-agent again",
            )
    return found[0]


def _link(source: str, target: str) -> str:
    """A hard link; a copy where that cannot be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def unused(ctx: Context) -> list[Path]:
    """Those that no container has mounted, of releases that are not installed any more."""
    try:
        names = [
            entry.name for entry in os.scandir(folder(ctx)) if entry.is_dir(follow_symlinks=False)
        ]
    except OSError:
        return []
    others = [folder(ctx) / name for name in sorted(names) if name != here(ctx).name]
    # Until the installed release has started its agent, an earlier one may run, and mount its own files.
    if not others or not is_kept(ctx) or not files.read(ctx.paths.ready("agent")):
        return []
    mounted = _mounted(ctx)
    if mounted is None:
        return []
    return [path for path in others if not any(one.is_relative_to(path) for one in mounted)]


def sweep(ctx: Context) -> int:
    """Remove them; how many. What cannot be removed is told, and tried again."""
    removed = 0
    for path in unused(ctx):
        try:
            trees.remove(path)
            removed += 1
        except Problem as problem:
            log.warning("%s", problem)
    return removed


def _mounted(ctx: Context) -> set[Path] | None:
    """What containers, running or not, have mounted of the host; None: the engine does not say."""
    return container_engine.of_containers(
        ctx.facts, lambda row: [Path(mount["Source"]) for mount in row.get("Mounts") or []]
    )
