"""What a release is made of, as its documents know it: files, packages of ours, works of others."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "LicenseRef-unstated"


@dataclass(frozen=True)
class Part:
    """One work of others, or a distribution of our own, and the licence texts that it carries.

    kind: pypi, npm, deb; generic (a Python distribution of our own); embedded (linked into another
    part: no file of its own). packages: packages of ours that hold its files. extent:
    `files` when only some of its files are taken. requires: names of parts of the same kind.
    """

    name: str
    version: str
    license: str = UNKNOWN  # an SPDX expression
    texts: tuple[str, ...] = ()
    copyright: str = ""
    kind: str = ""
    filename: str = ""
    sha256: str = ""
    size: int = 0
    packages: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extent: str = ""


@dataclass(frozen=True)
class File:
    """An artefact: `path` as in the release, `size` in bytes."""

    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Pex(File):
    distributions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """A package of ours; its deb and its rpm hold the same."""

    name: str
    summary: str
    arch: str  # amd64 or all
    requires: tuple[str, ...] = ()  # packages of ours
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class ReleaseFacts:
    """What a release is called; `version` with its revision, `date` as of ISO 8601."""

    name: str
    version: str
    number: int
    date: str
    homepage: str
    license: str
    vendor: str


@dataclass(frozen=True)
class Inventory:
    release: ReleaseFacts
    packages: tuple[Package, ...]
    parts: tuple[Part, ...]
    pexes: tuple[Pex, ...] = ()
