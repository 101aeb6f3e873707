"""Two folders of artefacts, compared by sha256; and where the first difference lies."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from devtools.archives import difference, first_differing_bytes, members
from releasekit.files import sha256_of

SAME, DIFFERENT = "same", "DIFFERENT"
# They name the sha256 of all others, so they differ whenever one does.
_SUMS = ("SHA256SUMS", "release.json")
_LINES = 40


@dataclass(frozen=True)
class Row:
    """One artefact: what was found; size in bytes and sha256 of the first that has it."""

    name: str
    result: str
    size: int
    sha256: str


def sums(folder: Path) -> dict[str, str]:
    """sha256 of every file by its path below the folder."""
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def compare(first: Path, second: Path) -> list[Row]:
    """A row per artefact of either folder."""
    one, two = sums(first), sums(second)
    rows = []
    for name in sorted({*one, *two}):
        path = first / name if name in one else second / name
        digest = one.get(name) or two[name]
        rows.append(Row(name, verdict(name, one, two), path.stat().st_size, digest))
    return rows


def verdict(name: str, one: Mapping[str, str], two: Mapping[str, str]) -> str:
    """The word for one artefact in the table."""
    if name not in one:
        return "ONLY IN THE SECOND"
    if name not in two:
        return "ONLY IN THE FIRST"
    return SAME if one[name] == two[name] else DIFFERENT


def most_telling(rows: list[Row]) -> Row | None:
    """The differing artefact to look into: the smallest that is not a list of the others."""
    differing = [row for row in rows if row.result == DIFFERENT]
    return min(differing, key=lambda row: (row.name in _SUMS, row.size), default=None)


def explain(first: Path, second: Path) -> str:
    """Where two files differ, by diffoscope where it is installed, else by a look of our own."""
    if which("diffoscope"):
        argv = ["diffoscope", "--text=-", "--max-report-size=20000", str(first), str(second)]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    lines = difference(members(first), members(second))
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"and {len(lines) - _LINES} more"]
    offsets = ", ".join(str(offset) for offset in first_differing_bytes(first, second))
    sizes = f"{first.stat().st_size} and {second.stat().st_size} bytes"
    return "\n".join([*lines, f"{sizes}; the first bytes that differ are at {offsets}"])
