"""Scratch folders of sessions that ended, with files of their container's root.

The agent is not root: a folder in which a container's root, or the engine for a nested mount, made
something cannot be removed by it, stays, and fills the disk. One that had no container the day before, and
has none now, belongs to nobody.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import careful, files, trees
from backendai_ctl.topology import container_engine

log = logging.getLogger(__name__)

AGE = (
    20 * 3600
)  # seconds between two looks: an agent that restarts a session has no container meanwhile
_KERNEL = "ai.backend.kernel-id"  # the agent's label of a container
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_tmp)?")
Seen = dict[str, list[int]]  # name -> device, inode, when it was first seen without a container


def folder(ctx: Context) -> Path:
    """As agent.toml names it."""
    return ctx.paths.state / "agent/scratches"


def record(ctx: Context) -> Path:
    """What was without a container when it was looked at last."""
    return ctx.paths.ctl / "scratch.json"


def left(ctx: Context) -> list[str]:
    """Folders that the next `sweep` would remove."""
    now = _now()
    return _due(_seen(ctx, now) or {}, now)


def sweep(ctx: Context) -> int:
    """Remove them, note the others; how many. What cannot be removed is told, and tried again."""
    now, removed = _now(), 0
    if (seen := _seen(ctx, now)) is None:
        return 0
    for name in _due(seen, now):
        kernels = _kernels(ctx)  # removing takes its time: ask again for each
        if kernels is None or name[:36] in kernels:
            continue
        try:
            trees.remove(folder(ctx) / name, (seen[name][0], seen[name][1]))
            removed += 1
            del seen[name]
        except Problem as problem:
            log.warning("%s", problem)
    if seen or record(ctx).exists():
        files.write(record(ctx), json.dumps(seen) + "\n", mode=0o600)
    return removed


def _due(seen: Seen, now: int) -> list[str]:
    return [name for name, (_, _, since) in seen.items() if now - since >= AGE]


def _now() -> int:
    return int(time.time())


def _seen(ctx: Context, now: int) -> Seen | None:
    """Folders without a container; None while the engine does not say which there are."""
    found = dict(_folders(folder(ctx))) if ctx.here("agent") else {}
    kernels = _kernels(ctx) if found else set()
    if kernels is None:
        return None
    before = _before(ctx)
    seen: Seen = {}
    for name, identity in found.items():
        if name[:36] not in kernels:
            known = before.get(name, [])
            same = known[:2] == list(identity)
            seen[name] = known if same else [*identity, now]
    return seen


def _before(ctx: Context) -> Seen:
    try:
        rows = json.loads(files.read(record(ctx)) or "{}")
        return {name: [int(n) for n in row] for name, row in rows.items() if len(row) == 3}
    except (ValueError, TypeError, AttributeError):
        return {}


def _folders(place: Path) -> Iterator[tuple[str, trees.Identity]]:
    """Folders named like a kernel."""
    try:
        with careful.folder(place) as handle:
            for name in sorted(filter(_NAME.fullmatch, os.listdir(handle))):
                try:
                    found = os.stat(name, dir_fd=handle, follow_symlinks=False)
                except FileNotFoundError:  # the agent removed it meanwhile
                    continue
                if stat.S_ISDIR(found.st_mode):
                    yield name, (found.st_dev, found.st_ino)
    except OSError as error:
        log.debug("%s: %s", place, error.strerror)


def _kernels(ctx: Context) -> set[str] | None:
    """Kernels that have a container, running or not; None: the engine does not say."""
    return container_engine.of_containers(
        ctx.facts, lambda row: [str((row.get("Labels") or {}).get(_KERNEL))]
    )
