"""A file that grows under NAME.part and gets its name when its sha256 is right.

What an interrupted run wrote is read again, kept as far as it is right, and continued.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Callable

from releasekit.errors import Failure

BLOCK = 1 << 20


class Partial:
    """Open NAME.part; `done` bytes of it are right so far, and `digest` covers just these."""

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = final.with_name(f"{final.name}.part")
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._stream: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)
        self.digest = hashlib.sha256()
        self.done = 0
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stream.close()
            raise Failure(
                f"{self.path}: another run is writing it", hint="wait for that one to end"
            ) from None

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def resume(self, parts: Iterable[tuple[int, str]], seen: Callable[[int], None]) -> int:
        """Check what is there against (size, sha256) of the parts in order, drop the rest of it.

        Returns how many parts are complete; `seen` gets the bytes as they are read.
        """
        complete = 0
        self._stream.seek(0)
        for size, sha256 in parts:
            whole, digest, left = self.digest.copy(), hashlib.sha256(), size
            while left:
                block = self._stream.read(min(BLOCK, left))
                if not block:
                    break
                whole.update(block)
                digest.update(block)
                left -= len(block)
            if left or digest.hexdigest() != sha256:
                break
            self.digest = whole
            self.done += size
            complete += 1
            seen(size)
        self.back_to(self.done, self.digest)
        return complete

    def write(self, block: bytes) -> None:
        """Append."""
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]
        self.digest.update(block)
        self.done += len(block)

    def back_to(self, done: int, digest: hashlib._Hash) -> None:
        """Forget what is after the first `done` bytes, whose digest is `digest`."""
        self._stream.truncate(done)
        self._stream.seek(done)
        self.done, self.digest = done, digest

    def sync(self) -> None:
        """Everything is on the disk when this returns."""
        os.fsync(self._stream.fileno())

    def finish(self, sha256: str) -> None:
        """Give the file its name; Failure, and it is gone, when it is not what it should be."""
        if self.digest.hexdigest() != sha256:
            self.path.unlink()
            raise Failure(
                f"{self.final.name}: the result has another sha256 than it should; it was removed",
                hint="run it again; if that stays so, check the disk",
            )
        self.sync()
        self.path.replace(self.final)
        folder = os.open(self.final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
