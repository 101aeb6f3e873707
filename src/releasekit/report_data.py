"""What the release page tells, gathered from the parts of the bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit.errors import Failure
from releasekit.model import File

OURS = "backendai-"
_RPM = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+-[^-]+)\.(?P<arch>[^.]+)\.rpm$")
TYPES = {"pypi": "Python", "npm": "npm", "deb": "Debian", "own": "ours"}


@dataclass(frozen=True)
class Listed:
    """A package by its name. Files and sizes in bytes of both formats; 0 when there is none."""

    name: str
    version: str
    summary: str
    deb: int
    rpm: int
    installed: int


@dataclass(frozen=True)
class Change:
    """What became of a package or component since the release before; sizes in bytes."""

    name: str
    kind: str  # added, removed, changed
    before: str
    now: str
    grown: int


def packages(index: Iterable[Mapping[str, str]], files: Iterable[File]) -> list[Listed]:
    """Every package of the apt repository with its rpm, sorted by name."""
    rpms = {match["name"]: file.size for file in files if (match := _RPM.match(file.name))}
    found = []
    for row in index:
        try:
            found.append(
                Listed(
                    name=row["Package"],
                    version=row["Version"],
                    summary=row.get("Description", "").partition("\n")[0],
                    deb=int(row["Size"]),
                    rpm=rpms.get(row["Package"], 0),
                    installed=int(row.get("Installed-Size", 0)) * 1024,
                )
            )
        except (KeyError, ValueError) as error:
            raise Failure(
                f"a paragraph of Packages has no usable field {error}",
                hint="make the apt repository anew",
            ) from None
    return sorted(found, key=lambda package: package.name)


def summary(
    release: Mapping[str, Any], found: Iterable[Listed], components: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the page of the next release compares itself with (report/summary.json)."""
    return {
        "format": 1,
        "release": {key: release[key] for key in ("version", "number", "date")},
        "packages": {p.name: {"version": p.version, "deb": p.deb, "rpm": p.rpm} for p in found},
        "components": _versions(components),
    }


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[list[Change], list[Change], int]:
    """Changed packages, changed components, and how many packages are as they were.

    A package of ours that has but the new version and the size within a hundredth is as it was:
    all of ours carry the version of the release.
    """
    rows, same = [], 0
    for name in sorted({*before["packages"], *now["packages"]}):
        one, two = before["packages"].get(name), now["packages"].get(name)
        old, new = one or {"version": "", "deb": 0}, two or {"version": "", "deb": 0}
        grown = new["deb"] - old["deb"]
        only_version = name.startswith(OURS) and abs(grown) * 100 <= old["deb"]
        if one and two and (one["version"] == two["version"] or only_version):
            same += 1
            continue
        rows.append(Change(name, _kind(one, two), old["version"], new["version"], grown))
    one, two = before["components"], now["components"]
    parts = [
        Change(name.partition(":")[2], _kind(a, b), a or "", b or "", 0)
        for name in sorted({*one, *two})
        if (a := one.get(name)) != (b := two.get(name))
    ]
    return rows, parts, same


def read(path: str) -> Any:
    """A JSON file, None when `path` is empty. Failure names the file."""
    if not path:
        return None
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}", hint="mend the file, or remove it") from None


def _versions(components: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """TYPE:NAME -> version; npm packages may be there in several."""
    found: dict[str, set[str]] = {}
    for part in components:
        found.setdefault(f"{part['type']}:{part['name']}", set()).add(part["version"])
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


def _kind(before: object, now: object) -> str:
    return "added" if not before else "removed" if not now else "changed"
