"""A bundle as files by name: its tar read in place, or the folder it was unpacked to."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools.release.layout import (
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
        self.places = _folder(path) if path.is_dir() else _tar(path)
        for name in (RELEASE, MANIFEST, SIGNATURE):
            if name not in self.places:
                raise Failure(
                    f"{path} is no bundle of a release, or a damaged one: it has no {name}",
                    hint="a bundle is the file backendai-*.tar of a release, or its unpacked folder",
                )
        self.facts: Facts = parse_release(self.text(RELEASE), str(path))
        self.manifest = parse_manifest(self.text(MANIFEST), str(path))

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
            raise Failure(f"{self.path}: {name} is damaged: it is no text") from None

    def size(self) -> int:
        """Bytes of the tar, or of all files of a folder."""
        if self.path.is_dir():
            return sum(place.size for place in self.places.values())
        return self.path.stat().st_size

    def by_content(self) -> dict[str, str]:
        """Path by sha256, as MANIFEST claims."""
        return {sha256: path for path, sha256 in reversed(list(self.manifest.items()))}


def _tar(path: Path) -> dict[str, Place]:
    places: dict[str, Place] = {}
    top = ""
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                folder, _, name = info.name.partition("/")
                top = top or folder
                if folder != top or not (info.isdir() or info.isreg()):
                    raise Failure(
                        f"{path}: {info.name!r} does not belong into a bundle",
                        hint="it was not made by ./pants package; do not use it",
                    )
                if info.isdir():
                    continue
                if name in places:
                    raise Failure(f"{path}: {name} is in it twice; do not use it")
                places[name] = Place(path, info.offset_data, info.size)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise Failure(
            f"{path} cannot be read as a tar file: {error}",
            hint="it is damaged or cut short, or no bundle at all: copy it again",
        ) from None
    return places


def _folder(path: Path) -> dict[str, Place]:
    places = {}
    for folder, folders, names in os.walk(path):
        for name in [*names, *(sub for sub in folders if Path(folder, sub).is_symlink())]:
            file = Path(folder, name)
            relative = file.relative_to(path).as_posix()
            if file.is_symlink() or not file.is_file():
                raise Failure(f"{path}: {relative} is no plain file; bundles hold nothing else")
            places[relative] = Place(file, 0, file.stat().st_size)
    return places
