"""Scratch folders of sessions that ended, with files of their container's root.

The agent is not root: a folder in which a container's root, or the engine for a nested mount, made
something cannot be removed by it, stays, and fills the disk. One whose container is gone belongs to nobody.
"""

from __future__ import annotations

import http.client
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
from backendai_ctl.platform import careful, trees
from backendai_ctl.platform import http as requests
from backendai_ctl.topology import container_engine

log = logging.getLogger(__name__)

AGE = 24 * 3600  # seconds: the agent makes a folder before its container, and may try again
_KERNEL = "ai.backend.kernel-id"  # the agent's label of a container
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_tmp)?")
_CONTAINERS = "http://localhost/containers/json?all=1"


def folder(ctx: Context) -> Path:
    """As agent.toml names it."""
    return ctx.paths.state / "agent/scratches"


def left(ctx: Context) -> dict[Path, trees.Identity]:
    """Folders to be removed. None while the engine does not say which containers there are."""
    if not ctx.here("agent"):
        return {}
    old = dict(_old(folder(ctx)))
    kernels = _kernels(ctx) if old else None
    if kernels is None:
        return {}
    return {folder(ctx) / name: found for name, found in old.items() if name[:36] not in kernels}


def sweep(ctx: Context) -> int:
    """Remove them; how many. What cannot be removed is told, and tried again the next time."""
    removed = 0
    for path, identity in left(ctx).items():
        try:
            trees.remove(path, identity)
            removed += 1
        except Problem as problem:
            log.warning("%s", problem)
    return removed


def _old(place: Path) -> Iterator[tuple[str, trees.Identity]]:
    """Folders named like a kernel that nobody put anything into for AGE."""
    try:
        with careful.folder(place) as handle:
            for name in sorted(os.listdir(handle)):
                seen = os.stat(name, dir_fd=handle, follow_symlinks=False)
                aged = time.time() - seen.st_mtime > AGE
                if aged and stat.S_ISDIR(seen.st_mode) and _NAME.fullmatch(name):
                    yield name, (seen.st_dev, seen.st_ino)
    except OSError as error:
        log.debug("%s: %s", place, error.strerror)


def _kernels(ctx: Context) -> set[str] | None:
    """Kernels that have a container, running or not; None: the engine does not say."""
    socket = container_engine.of(ctx.facts).socket
    try:
        status, body = requests.ask(_CONTAINERS, timeout=30, local=socket, most=None)
        if status != 200:
            raise OSError(f"HTTP {status}")
        return {str((row.get("Labels") or {}).get(_KERNEL)) for row in json.loads(body)}
    except (OSError, ValueError, AttributeError, TypeError, http.client.HTTPException) as error:
        log.debug("%s: %s", socket, error)
        return None
