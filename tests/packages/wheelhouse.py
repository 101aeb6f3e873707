"""The locked wheels as the launcher's cache holds them."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class NotInCache(Exception):
    """The launcher has not set up what a test needs; the text says what."""


def cache() -> Path:
    """The launcher's cache."""
    given = os.environ.get("BACKENDAI_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "backendai-packaged"


def python() -> Path:
    """The private CPython 3.13: $BACKENDAI_PYTHON, else the newest of the cache."""
    given = os.environ.get("BACKENDAI_PYTHON")
    found = sorted(cache().glob("pythons/3.13-*/bin/python3.13"), key=lambda p: p.stat().st_mtime)
    if not given and not found:
        raise NotInCache(f"no CPython 3.13 in {cache()}: run ./pants once")
    return Path(given) if given else found[-1]


@dataclass(frozen=True)
class Wheelhouse:
    """Wheel files by the canonical name of their distribution."""

    files: Mapping[str, Path]
    lock: Mapping[str, Any]

    @classmethod
    def of(cls, packages: Mapping[str, Any]) -> Wheelhouse:
        """Find every wheel of the lock; NotInCache when one is absent."""
        files = {
            name: cache() / "files" / entry["sha256"] / entry["filename"]
            for name, entry in packages.items()
        }
        absent = [path.name for path in files.values() if not path.exists()]
        if absent:
            raise NotInCache(f"{absent[0]} is not in {cache()}: run ./pants once")
        return cls(files, packages)

    def names(self, distribution: str) -> list[str]:
        """Paths of the files inside a wheel."""
        with zipfile.ZipFile(self.files[distribution]) as wheel:
            return [name for name in wheel.namelist() if not name.endswith("/")]

    def read(self, distribution: str, name: str) -> bytes:
        """One file of a wheel."""
        with zipfile.ZipFile(self.files[distribution]) as wheel:
            return wheel.read(name)

    def read_all(self, distribution: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Several files of a wheel."""
        with zipfile.ZipFile(self.files[distribution]) as wheel:
            for name in sorted(names):
                yield name, wheel.read(name)

    def modes(self, distribution: str) -> dict[str, int]:
        """Unix modes of the files inside a wheel, without the type."""
        with zipfile.ZipFile(self.files[distribution]) as wheel:
            return {i.filename: (i.external_attr >> 16) & 0o7777 for i in wheel.infolist()}


def canonical(name: str) -> str:
    """The canonical name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
