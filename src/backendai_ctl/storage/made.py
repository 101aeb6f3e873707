"""Which folders of volumes were made on this host: a record, because it alone lets purge delete one.

It is of backendai-ctl, outside the volumes, where no service and no other node can write.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.platform import careful, clock, files

NAME = "volumes-made.json"


@dataclass(frozen=True)
class Made:
    """A folder as it was when it was made."""

    device: int
    inode: int
    time: str

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


def record(ctx: Context) -> Path:
    return ctx.paths.ctl / NAME


def known(ctx: Context) -> dict[Path, Made]:
    """The folders that were made here; one that is not readable says of none."""
    try:
        rows = json.loads(files.read(record(ctx)) or "{}")
        return {Path(path): Made(**row) for path, row in rows.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def remember(ctx: Context, path: Path) -> None:
    """Write down that this folder was made just now."""
    with careful.folder(path) as at:
        device, inode = careful.identity(at)
    _write(ctx, {**known(ctx), path: Made(device, inode, clock.now())})


def forget(ctx: Context, path: Path) -> None:
    _write(ctx, {place: made for place, made in known(ctx).items() if place != path})


def _write(ctx: Context, rows: dict[Path, Made]) -> None:
    if not rows:
        record(ctx).unlink(missing_ok=True)
        return
    found = {str(path): asdict(made) for path, made in sorted(rows.items())}
    files.write(record(ctx), json.dumps(found, indent=1) + "\n", mode=0o600)
