"""The inventory of a release as the packager gathers it, for its SBOM and the list of licences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from releasekit.model import File, Inventory, Package, Part

SUITE = "trixie"  # what we take packages from, unless a lock says another
IMAGE = "image-"  # begins the names of images among packages of ours
DEBIAN = {SUITE: "debian-13", "bullseye": "debian-11"}  # suite -> as package URLs say it


def purl(kind: str, name: str, version: str, *, filename: str = "", suite: str = SUITE) -> str:
    """A package URL (the purl specification). Of a Debian package, `filename` tells the architecture."""
    plain = quote(version, safe=".-_~:")
    if kind == "deb":
        arch = filename.rsplit("_", 1)[-1].partition(".")[0]
        query = f"arch={arch}&distro={DEBIAN[suite]}"
        return f"pkg:deb/debian/{quote(name, safe='.-_~')}@{plain}?{query}"
    if kind == "npm":
        return f"pkg:npm/{quote(name, safe='/.-_~')}@{plain}"
    return f"pkg:{kind}/{quote(name, safe='.-_~')}@{plain}"


def purl_of(part: Part) -> str:
    """The package URL of a part; empty for an embedded one."""
    if part.kind == "embedded":
        return ""
    return purl(part.kind, part.name, part.version, filename=part.filename)


def image_package(name: str) -> str:
    """What an image of sessions is called among packages of ours."""
    return f"{IMAGE}{name}"


def only_in_images(part: Part) -> bool:
    """Whether no package that hosts install holds the part: it may be there in another version."""
    return bool(part.packages) and all(name.startswith(IMAGE) for name in part.packages)


def own_purl(package: Package, file: File, version: str) -> str:
    """The package URL of a deb or rpm of ours."""
    kind = file.path.rsplit(".", 1)[1]
    arch = {"deb": package.arch, "rpm": {"amd64": "x86_64", "all": "noarch"}[package.arch]}[kind]
    return f"pkg:{kind}/backendai/{package.name}@{version}?arch={arch}"


@dataclass(frozen=True)
class InventorySpec:
    """What the packager gathers; `licenses`: files of releasekit.part_licenses, which tell more of parts."""

    inventory: Inventory
    licenses: tuple[str, ...]


def gathered(spec: InventorySpec) -> Inventory:
    """The inventory, in order, with the licences that the files tell."""
    known: dict[str, dict[str, Any]] = {}
    for name in spec.licenses:
        for row in json.loads(Path(name).read_text("utf-8")):
            file = row.pop("file")
            known[file] = {**row, "texts": tuple(row["texts"])}
    parts = (replace(part, **known.get(part.filename, {})) for part in spec.inventory.parts)
    return replace(
        spec.inventory,
        packages=tuple(sorted(spec.inventory.packages, key=lambda package: package.name)),
        parts=tuple(sorted(parts, key=sort_key)),
    )


def sort_key(part: Part) -> tuple[str, ...]:
    """The order of parts wherever they are listed."""
    return (part.kind, part.name, part.version, part.filename, part.extent)


def digest(data: Any) -> str:
    """The sha256 of data as JSON."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def owned_by(parts: Iterable[Part], package: str) -> list[Part]:
    """The parts whose files a package of ours holds."""
    return [part for part in parts if package in part.packages]
