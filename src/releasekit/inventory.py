"""What a release is made of: its packages, and every part that came from elsewhere.

The packager writes it as JSON (see `Inventory`); the SBOM and the licences are made from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from releasekit.spdx import UNKNOWN

DEBIAN = {"trixie": "debian-13", "bullseye": "debian-11"}  # suite -> as package URLs say it
KINDS = ("deb", "embedded", "generic", "npm", "pypi")


@dataclass(frozen=True)
class Part:
    """One work of others, or a distribution of our own.

    kind: pypi, npm, deb; generic (a Python distribution of our own); embedded (linked into another
    part: no file of its own). packages: packages of ours that hold its files. carried: a Debian
    package that is in the repository as it is. extent: `files` when only some of its files are taken.
    requires: names of parts of the same kind.
    """

    kind: str
    name: str
    version: str
    filename: str = ""
    sha256: str = ""
    size: int = 0
    packages: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    carried: bool = False
    extent: str = ""
    license: str = UNKNOWN
    texts: tuple[str, ...] = ()
    copyright: str = ""

    @property
    def purl(self) -> str:
        """The package URL; of an embedded part, none."""
        if self.kind == "embedded":
            return ""
        return purl(self.kind, self.name, self.version, filename=self.filename)


@dataclass(frozen=True)
class File:
    """An artefact: `path` as in the release, `size` in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Package:
    """A package of ours; its deb and its rpm hold the same."""

    name: str
    summary: str
    arch: str  # amd64 or all
    requires: tuple[str, ...] = ()  # packages of ours
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """`release`: name, version (with revision), number, date, homepage, license, vendor."""

    release: Mapping[str, Any]
    packages: tuple[Package, ...]
    parts: tuple[Part, ...]
    pexes: tuple[File, ...] = ()
    pex_parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # path -> distributions


def purl(kind: str, name: str, version: str, *, filename: str = "", suite: str = "trixie") -> str:
    """A package URL (the purl specification). Of a Debian package, `filename` tells the architecture."""
    plain = quote(version, safe=".-_~:")
    if kind == "deb":
        arch = filename.rsplit("_", 1)[-1].partition(".")[0]
        query = f"arch={arch}&distro={DEBIAN[suite]}"
        return f"pkg:deb/debian/{quote(name, safe='.-_~')}@{plain}?{query}"
    if kind == "npm":
        return f"pkg:npm/{quote(name, safe='/.-_~')}@{plain}"
    return f"pkg:{kind}/{quote(name, safe='.-_~')}@{plain}"


def own_purl(package: Package, file: File, version: str) -> str:
    """The package URL of a deb or rpm of ours."""
    kind = file.path.rsplit(".", 1)[1]
    arch = {"deb": package.arch, "rpm": {"amd64": "x86_64", "all": "noarch"}[package.arch]}[kind]
    return f"pkg:{kind}/backendai/{package.name}@{version}?arch={arch}"


def read(path: Path) -> Inventory:
    """The inventory of a spec: JSON as `dump` writes it, licences taken from the files it names.

    `licences` are files of releasekit.part_licences, by the name of the part's file.
    """
    data = json.loads(path.read_text("utf-8"))
    known: dict[str, dict[str, Any]] = {}
    for name in data["licences"]:
        known.update({row["file"]: row for row in json.loads(Path(name).read_text("utf-8"))})
    parts = [
        Part(**{**_tuples(row), **_licence(known.get(row["filename"]))}) for row in data["parts"]
    ]
    packages = [
        Package(**{**_tuples(row), "files": tuple(File(**file) for file in row["files"])})
        for row in data["packages"]
    ]
    return Inventory(
        data["release"],
        tuple(sorted(packages, key=lambda package: package.name)),
        tuple(sorted(parts, key=sort_key)),
        tuple(File(**row) for row in data["pexes"]),
        {path: tuple(names) for path, names in data["pex_parts"].items()},
    )


def sort_key(part: Part) -> tuple[str, ...]:
    """The order of parts wherever they are listed."""
    return (part.kind, part.name, part.version, part.filename, part.extent)


def digest(data: Any) -> str:
    """The sha256 of data as JSON."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _licence(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {}
    return {key: tuple(row[key]) if key == "texts" else row[key] for key in _LICENCE}


_LICENCE = ("license", "texts", "copyright")


def owned_by(parts: Iterable[Part], package: str) -> list[Part]:
    """The parts whose files a package of ours holds."""
    return [part for part in parts if package in part.packages]
