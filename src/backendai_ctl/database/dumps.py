"""The dumps below /var/backups/backendai: their names, making, checking and throwing away.

`FROM-to-TO-DATABASE-TIME.dump` was made before a migration, `REVISION-DATABASE-TIME.dump` by
`backendai-ctl db backup`. They are written under another name and get theirs when verified.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.database.programs import Programs, verify
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files

SPARE = 64 << 20  # bytes that must stay free beside a dump
_NAME = re.compile(r"(\w+?)(?:-to-(\w+))?-([a-z][a-z0-9-]*)-(\d{8}T\d{6}Z)\.dump")


@dataclass(frozen=True)
class Dump:
    """A dump by its name."""

    path: Path
    database: str
    revision: str  # of the schema in it
    before: str | None  # the revision that the migration after it led to; None: a backup
    time: str  # UTC, such as 20261123T181200Z


def found(ctx: Context, database: str) -> list[Dump]:
    """All dumps of a database, newest first."""
    made = []
    for path in ctx.paths.backups.glob("*.dump"):
        match = _NAME.fullmatch(path.name)
        if match and match[3] == database:
            made.append(Dump(path, database, match[1], match[2], match[4]))
    return sorted(made, key=lambda dump: (dump.time, dump.path.name), reverse=True)


def way_back(ctx: Context, database: str, current: str) -> Dump | None:
    """The newest dump made before a migration to `current`."""
    return next((dump for dump in found(ctx, database) if dump.before == current), None)


def path(ctx: Context, database: str, revision: str, before: str | None) -> Path:
    """Where a dump that is made now belongs; never where another one is.

    A restore dumps first: were it in the second of the backup that it restores, it would replace it.
    """
    name = f"{revision}-to-{before}" if before else revision
    moment = datetime.now(UTC)
    while True:
        found = ctx.paths.backups / f"{name}-{database}-{moment:%Y%m%dT%H%M%SZ}.dump"
        if not found.exists():
            return found
        moment += timedelta(seconds=1)


def check_space(folder: Path, size: int) -> None:
    """Problem unless a dump of a database of `size` bytes fits; it is smaller than that."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise Problem(
            f"{folder}: {_mb(free)} MB are free, a dump may need {_mb(size + SPARE)} MB",
            hint=f"free some space in {folder}, then run: backendai-ctl db migrate",
        )


def make(programs: Programs, path: Path) -> None:
    """Dump the database into `path` and read the dump back; Problem, and no file, if it fails."""
    ctx = programs.target.ctx
    if path.parent == ctx.paths.backups:
        files.make_folder(path.parent, mode=0o700)
    partial = path.with_name(f"{path.name}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as out:
            wrong = programs.dump(out)
            os.fsync(out.fileno())
        wrong = wrong or verify(ctx, partial)
        if wrong:
            raise Problem(f"the dump of {programs.target.where} failed: {wrong}", hint=_again())
        os.rename(partial, path)
        files.sync_folder(path.parent)
    except OSError as error:
        raise Problem(f"{partial}: {error.strerror}", hint=_again()) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def prune(ctx: Context, database: str, made: Path) -> None:
    """Keep `made`, whatever the clock says, and the newest of the others made before migrations.

    The site file says how many.
    """
    others = [dump.path for dump in found(ctx, database) if dump.before and dump.path != made]
    _remove(others[ctx.site.database.keep_dumps - 1 :])


def sweep(ctx: Context, database: str) -> None:
    """Remove half dumps of runs that were killed. Needs the lock: without it they may be alive."""
    parts = ctx.paths.backups.glob("*.dump.partial")
    named = ((part, _NAME.fullmatch(part.stem)) for part in parts)
    _remove(part for part, name in named if name and name[3] == database)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # if room is short because of it, that will be told
            path.unlink()


def _mb(size: int) -> int:
    return -(-size // 1_000_000)


def _again() -> str:
    return "fix the cause, then run: backendai-ctl db migrate"
