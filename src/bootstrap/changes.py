"""What lock scripts share: keeping what is locked, and the summary of what is new, gone or changed."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import write_lock

T = TypeVar("T")


def what_to_renew(parser: argparse.ArgumentParser) -> None:
    """Add `--only`, `--newest` and `--check`, which mean the same for every lock.

    Without them what is locked stays: what is new, or left out, changes alone.
    """
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="renew this one, and what needs another version with it; may be given again",
    )
    chosen.add_argument("--newest", action="store_true", help="renew everything")
    parser.add_argument(
        "--check", action="store_true", help="tell what would change; write nothing"
    )


def kept(given: argparse.Namespace, locked: Mapping[str, T]) -> dict[str, T]:
    """What of the lock stays, by those options. Failure if it has no package of a given name."""
    unknown = [name for name in given.only if name not in locked]
    if unknown:
        near = difflib.get_close_matches(unknown[0], locked, 1)
        raise Failure(
            f"--only: the lock has no {unknown[0]}",
            hint=f"did you mean {near[0]}?" if near else "name it as the lock does",
        )
    if given.newest:
        return {}
    return {name: entry for name, entry in locked.items() if name not in given.only}


def finish(
    given: argparse.Namespace,
    path: Path,
    data: Any,
    old: Mapping[str, Entry],
    new: Mapping[str, Entry],
) -> int:
    """Write the lock, unless it was only to be checked, and print what is different; 0."""
    if not given.check:
        write_lock(path, data)
    print_changes(path, old, new)
    return 0


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
