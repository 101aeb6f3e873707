"""What this host's clock says, and whether it can be right."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

_DAY = 86400  # seconds


def now() -> str:
    """The time, as it is kept in records: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def behind(share: Path) -> str:
    """The time, if it is before the release was made (whose data are in `share`); else empty."""
    now, built = time.time(), (share / "release.json").stat().st_mtime
    if now >= built - _DAY:
        return ""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="minutes")
