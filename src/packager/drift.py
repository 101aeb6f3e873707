"""Locked Debian packages, and what was taken in the place of those that had left the mirror.

The launcher fetches; when a locked package is gone it records in the cache what it took instead
(`drift/SHA256.json`). Builds use that file, say so, and carry both entries in their provenance.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pants.engine.fs import Digest
from pants.engine.rules import Get, collect_rules, rule
from pants.util.frozendict import FrozenDict

from packager.inputs import Lock, LockedDigest, LockedFile, LockedFiles, LockFile
from packager.options import Packager
from releasekit.errors import Failure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DebsRequest:
    """Ask for a set of debian.lock."""

    name: str


@dataclass(frozen=True)
class Debs:
    """The packages in `debs/` of the digest; `provenance` has a row for each, with its drift."""

    digest: Digest
    paths: tuple[str, ...]
    provenance: tuple[FrozenDict[str, Any], ...]


def used_entry(cache: str, locked: dict[str, Any]) -> dict[str, Any]:
    """The entry whose file is used for a locked one: itself, or what drift put in its place."""
    if Path(cache, LockedFile.of(locked).place).exists():
        return locked
    record = Path(cache, "drift", f"{locked['sha256']}.json")
    if not record.exists():
        return locked
    used: dict[str, Any] = json.loads(record.read_text("utf-8"))["used"]
    return used


def row(name: str, locked: dict[str, Any], used: dict[str, Any]) -> FrozenDict[str, Any]:
    facts = {"package": name, "version": used["version"], "sha256": used["sha256"]}
    if used["sha256"] != locked["sha256"]:
        facts["drifted_from"] = f"{locked['version']} (sha256 {locked['sha256']})"
    return FrozenDict(facts)


@rule
async def locked_debs(request: DebsRequest, packager: Packager) -> Debs:
    lock = await Get(Lock, LockFile("debian"))
    if request.name not in lock.data["sets"]:
        raise Failure(
            f"packaging/locks/debian.lock has no set `{request.name}`",
            hint=f"known sets are: {', '.join(sorted(lock.data['sets']))}",
        )
    rows, files = [], []
    for name in lock.data["sets"][request.name]:
        locked = lock.data["packages"][name]
        used = used_entry(packager.cache, locked)
        rows.append(row(name, locked, used))
        files.append(LockedFile.of(used))
        if used is not locked:
            logger.warning(
                f"{name}: locked {locked['version']} has left the mirror; built with {used['version']}"
            )
    fetched = await Get(LockedDigest, LockedFiles(tuple(files), "debs"))
    return Debs(fetched.digest, fetched.paths, tuple(rows))


def rules() -> Any:
    return collect_rules()
