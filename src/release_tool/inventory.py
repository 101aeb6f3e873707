"""Packages of a bundle, told from the names of its files, and what its images are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from release_tool.bundle import Bundle
from releasekit.errors import Failure

OUR_PREFIX = "backendai-"
_IMAGES, _NAME = "images", "org.opencontainers.image.ref.name"
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
    was = blobs_of_images(old)
    for key, path in blobs_of_images(new).items():
        if key in was and path not in pairs:
            pairs[path] = was[key]
    return {path: before for path, before in pairs.items() if before in old.places}


def blobs_of_images(bundle: Bundle) -> dict[tuple[str, int], str]:
    """Manifests (0), configurations (1) and layers (from 2 on, lowest first) by the image's repository."""
    found: dict[tuple[str, int], str] = {}
    try:
        for row in json.loads(bundle.read(f"{_IMAGES}/index.json"))["manifests"]:
            repository = row["annotations"][_NAME].rpartition(":")[0]
            manifest = json.loads(bundle.read(_blob(row)))
            parts = [row, manifest["config"], *manifest["layers"]]
            found.update({(repository, number): _blob(part) for number, part in enumerate(parts)})
    except (Failure, ValueError, KeyError, TypeError, AttributeError):
        return {}  # no images, or of a kind that is not ours: each blob goes by its content
    return found


def _blob(descriptor: Mapping[str, Any]) -> str:
    return f"{_IMAGES}/blobs/{descriptor['digest'].replace(':', '/')}"
