"""Where things are: the checkout, the cache shared by all checkouts, and its lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap.progress import say
from releasekit.errors import Failure
from releasekit.files import Store, write_atomic


@dataclass(frozen=True)
class Cache:
    """The folders of the cache."""

    root: Path

    @property
    def store(self) -> Store:
        """Every locked file, by its sha256."""
        return Store(self.root / "files")

    @property
    def tmp(self) -> Path:
        """Scratch space on the same filesystem; emptied when a set-up starts."""
        return self.root / "tmp"

    @property
    def drift(self) -> Path:
        """One record per locked Debian package that left the mirror."""
        return self.root / "drift"

    def python(self, version: str, fp: str) -> Path:
        """Prefix of an assembled CPython, e.g. version "3.13"."""
        return self.root / "pythons" / f"{version}-{fp}"

    def venv(self, group: str, fp: str) -> Path:
        """A virtual environment of a group of tools.lock."""
        return self.root / "venvs" / f"{group}-{fp}"

    def tool(self, name: str, fp: str) -> Path:
        """Folder of a tool made from a locked file."""
        return self.root / "tools" / f"{name}-{fp}"


def default_cache() -> Cache:
    """The cache of this user: $BACKENDAI_CACHE, else backendai-packaged in the XDG cache folder."""
    chosen = os.environ.get("BACKENDAI_CACHE")
    if chosen:
        return Cache(Path(chosen).absolute())
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Cache(Path(base).absolute() / "backendai-packaged")


def vendor_dir() -> Path | None:
    """$BACKENDAI_VENDOR: a folder that is searched by file name before any network."""
    chosen = os.environ.get("BACKENDAI_VENDOR")
    if not chosen:
        return None
    path = Path(chosen)
    if not path.is_dir():
        raise Failure(
            f"BACKENDAI_VENDOR={chosen} is not a folder",
            hint="name the folder that holds the files, or unset BACKENDAI_VENDOR",
        )
    return path


@contextlib.contextmanager
def exclusive(cache: Cache) -> Iterator[None]:
    """Hold the cache's lock; a second caller waits and says for what.

    The kernel drops the lock when its holder ends, however it ends: a stale lock cannot be.
    """
    cache.root.mkdir(parents=True, exist_ok=True)
    path = cache.root / "setup.lock"
    holder = cache.root / "setup.pid"
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read(holder)
            who = f"another set-up (process {pid})" if pid else "another set-up"
            say(f"Waiting for {who} to end; it holds {path}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        write_atomic(holder, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
