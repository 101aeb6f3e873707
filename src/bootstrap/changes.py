"""What lock scripts share: keeping what is locked, and the summary of what is new, gone or changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from releasekit.files import Entry


def keep_option(parser: argparse.ArgumentParser) -> None:
    """Add `--keep`, which means the same for every lock."""
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep what is locked at its version, unless something needs another",
    )


def changes(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> list[str]:
    """One line per difference: `name 1.0 -> 1.1`, `name 1.0 (new)`, `name 1.0 (gone)`."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before is None and after is not None:
            lines.append(f"{name} {after.version} (new)")
        elif after is None and before is not None:
            lines.append(f"{name} {before.version} (gone)")
        elif before is not None and after is not None and before.version != after.version:
            lines.append(f"{name} {before.version} -> {after.version}")
        elif before is not None and after is not None and before.sha256 != after.sha256:
            lines.append(f"{name} {after.version}: another file, {after.filename}")
    return lines


def print_changes(path: Path, old: Mapping[str, Entry], new: Mapping[str, Entry]) -> None:
    """Print the summary to standard output."""
    lines = changes(old, new)
    print(f"{path.name}: {len(new)} packages, {len(lines)} changes")
    for line in lines:
        print(f"  {line}")
