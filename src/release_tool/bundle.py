"""A bundle as files by name: its tar read in place, or the folder it was unpacked to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from release_tool.archive import Archive, read
from release_tool.layout import (
    MANIFEST,
    RELEASE,
    SIGNATURE,
    Facts,
    parse_manifest,
    parse_release,
)
from releasekit.errors import Failure

BLOCK = 1 << 20
_SMALL = 64 << 20  # bytes; what is read whole (manifest, key ring) is far below


@dataclass(frozen=True)
class Place:
    """Where the bytes of one file are: `size` bytes of the file `file`, from `offset` on."""

    file: Path
    offset: int
    size: int

    def blocks(self) -> Iterator[bytes]:
        """The content, in blocks of at most 1 MiB."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            left = self.size
            while left:
                block = stream.read(min(BLOCK, left))
                if not block:
                    raise Failure(f"{self.file} is cut short", hint="copy it again")
                left -= len(block)
                yield block


class Bundle:
    """Files of a bundle by their path below its top folder. Nothing here is trusted yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise Failure(f"{path}: there is no such file or folder")
        found = None if path.is_dir() else read(path)
        self.places = _tar(path, found) if found else _folder(path)
        for name in (RELEASE, MANIFEST, SIGNATURE):
            if name not in self.places:
                raise Failure(
                    f"{path} is not a release bundle, or is damaged: it has no {name}",
                    hint="a bundle is the file backendai-*.tar of a release, or its unpacked folder",
                )
        self.facts: Facts = parse_release(self.text(RELEASE), str(path))
        self.manifest = parse_manifest(self.text(MANIFEST), str(path))
        if found:
            _check_outside(path, found, self.facts)

    def read(self, name: str) -> bytes:
        """A small file, whole."""
        place = self.places.get(name)
        if place is None or place.size > _SMALL:
            raise Failure(f"{self.path}: {name} is {'too large' if place else 'missing'}")
        return b"".join(place.blocks())

    def text(self, name: str) -> str:
        """A small file of text."""
        try:
            return self.read(name).decode("utf-8")
        except UnicodeDecodeError:
            raise Failure(f"{self.path}: {name} is damaged: it is not text") from None

    def size(self) -> int:
        """Bytes of the tar, or of all files of a folder."""
        if self.path.is_dir():
            return sum(place.size for place in self.places.values())
        return self.path.stat().st_size

    def by_content(self) -> dict[str, str]:
        """Path by sha256, as MANIFEST claims."""
        return {sha256: path for path, sha256 in reversed(list(self.manifest.items()))}


def _check_outside(path: Path, found: Archive, facts: Facts) -> None:
    """What of a tar is in no file: the name of its folder and the time of its entries."""
    day = time.strftime("%Y-%m-%d", time.gmtime(found.mtime))
    for what, is_, says in (("folder", found.top, facts.folder), ("date", day, facts["date"])):
        if is_ != says:
            raise Failure(
                f"{path}: the {what} is {is_}, and RELEASE says {says}", hint="do not use it"
            )


def _tar(path: Path, found: Archive) -> dict[str, Place]:
    return {member.name: Place(path, member.offset, member.size) for member in found.members}


def _folder(path: Path) -> dict[str, Place]:
    places = {}
    for folder, folders, names in os.walk(path):
        for name in [*names, *(sub for sub in folders if Path(folder, sub).is_symlink())]:
            file = Path(folder, name)
            relative = file.relative_to(path).as_posix()
            if file.is_symlink() or not file.is_file():
                raise Failure(
                    f"{path}: {relative} is not a regular file; bundles hold nothing else"
                )
            places[relative] = Place(file, 0, file.stat().st_size)
    return places
