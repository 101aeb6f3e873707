"""Files known by their sha256: reading, checking, writing whole or not at all.

The store is the folder `files/` of the cache: `files/SHA256/FILENAME`, each verified before it
enters and mode 0444. What is there is right: no reader has to check it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import Failure


@dataclass(frozen=True)
class Entry:
    """One locked file. `size` is in bytes."""

    version: str
    filename: str
    sha256: str
    size: int


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(*parts: str) -> str:
    """Short name of something made of `parts`: first 16 hex digits of a sha256 over them."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(b"%d:" % len(raw) + raw)
    return digest.hexdigest()[:16]


def check_file(path: Path, entry: Entry) -> None:
    """Raise Failure unless the file has the locked size and sha256."""
    size = path.stat().st_size
    if size != entry.size:
        raise Failure(
            f"{entry.filename}: {size} bytes arrived, the lock says {entry.size}",
            hint="the mirror or a proxy altered or cut the file: run again; if it stays so, "
            "compare with another mirror before renewing the lock",
        )
    got = sha256_of(path)
    if got != entry.sha256:
        raise Failure(
            f"{entry.filename}: sha256 is {got}, the lock says {entry.sha256}",
            hint="the file is not what was locked: do not use it; run again, and if it stays so "
            "compare with another mirror before renewing the lock",
        )


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all (temporary name in the same folder, fsync, rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_tree(path: Path) -> None:
    """Remove a folder, whatever the modes of what is in it; no error when it is absent."""
    if not path.exists() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path)


@contextlib.contextmanager
def fresh_dir(final: Path) -> Iterator[Path]:
    """Yield an empty folder beside `final` which becomes `final` if the block ends well.

    A folder that is already there is replaced. On an error nothing is left behind.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        remove_tree(final)
        temporary.rename(final)
    except BaseException:
        remove_tree(temporary)
        raise


class Store:
    """The folder of verified files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, entry: Entry) -> Path:
        """Where the file is, or will be once it is added."""
        return self.root / entry.sha256 / entry.filename

    def has(self, entry: Entry) -> bool:
        """True when the file is there; its content was verified on the way in."""
        try:
            return self.path(entry).stat().st_size == entry.size
        except OSError:
            return False

    def add(self, entry: Entry, source: Path) -> Path:
        """Verify `source` against the entry and put a copy of it into the store.

        The source stays. Raises Failure, and stores nothing, when size or sha256 differ.
        """
        target = self.path(entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as out, source.open("rb") as stream:
                shutil.copyfileobj(stream, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())
            check_file(temporary, entry)
            temporary.chmod(0o444)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return target
