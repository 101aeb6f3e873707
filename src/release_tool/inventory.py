"""Packages of a bundle, told from the names of its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from release_tool.bundle import Bundle

OUR_PREFIX = "backendai-"
_DEB = re.compile(r"apt/(?:.*/)?([^/_]+)_([^/_]+)_([^/_]+)\.deb")
_RPM = re.compile(r"rpm/(?:.*/)?([^/]+)-([^/-]+-[^/-]+)\.([^/.]+)\.rpm")


@dataclass(frozen=True)
class Package:
    """One package file; `size` is in bytes."""

    kind: str  # deb or rpm
    name: str
    version: str
    architecture: str
    path: str
    size: int
    sha256: str

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same from release to release."""
        return self.kind, self.name

    @property
    def ours(self) -> bool:
        """Built here, not taken from Debian."""
        return self.name.startswith(OUR_PREFIX)


def package_of(path: str, size: int, sha256: str) -> Package | None:
    """The package that a path of a bundle names, if it does."""
    for kind, pattern in (("deb", _DEB), ("rpm", _RPM)):
        match = pattern.fullmatch(path)
        if match:
            name, version, architecture = match.groups()
            return Package(kind, name, unquote(version), architecture, path, size, sha256)
    return None


def packages(bundle: Bundle) -> dict[tuple[str, str], Package]:
    """Packages by kind and name."""
    found = {}
    for path, sha256 in bundle.manifest.items():
        size = bundle.places[path].size if path in bundle.places else 0
        package = package_of(path, size, sha256)
        if package:
            found[package.key] = package
    return found


def counterparts(old: Bundle, new: Bundle) -> Mapping[str, str]:
    """For paths of the new bundle the path in the old one of what it takes the place of."""
    before = packages(old)
    pairs = {path: path for path in new.manifest if path in old.manifest}
    for package in packages(new).values():
        if package.key in before:
            pairs[package.path] = before[package.key].path
    return {path: was for path, was in pairs.items() if was in old.places}
