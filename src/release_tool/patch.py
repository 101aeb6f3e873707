"""A patch as bytes: instructions and what they need, packed as one xz stream.

Each instruction is a byte (COPY, NEAR, NEW), the number of bytes it makes, and, but for NEW, the place
in the old file as a distance from where the last one ended; NEAR and NEW are followed by their bytes.
"""

from __future__ import annotations

import lzma
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from release_tool.matching import COPY, NEAR, NEW, runs, xor
from releasekit.errors import Failure

BLOCK = 1 << 20
Blocks = Iterable[bytes]


class Scratch:
    """Bytes in a file without a name: it is gone with the process, however that ends."""

    def __init__(self, blocks: Blocks, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.size = 0
        try:
            for block in blocks:
                self.size += self._file.write(block)
            self._file.flush()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def map(self) -> bytes | mmap.mmap:
        """The content, mapped."""
        if not self.size:
            return b""
        return mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer at the end."""
        return os.pread(self._file.fileno(), size, offset)

    def blocks(self) -> Iterator[bytes]:
        """The content from its beginning."""
        for offset in range(0, self.size, BLOCK):
            yield self.read(offset, BLOCK)


def make_patch(old: Scratch, new: Scratch) -> Iterator[bytes]:
    """Blocks of the patch that makes `new` from `old`."""
    xz = lzma.LZMACompressor(preset=6)
    before, after = old.map(), new.map()
    was = 0
    for run in runs(before, after):
        head = bytes([run.how]) + _number(run.size)
        if run.how != NEW:
            head += _number((run.old - was) * 2 if run.old >= was else (was - run.old) * 2 - 1)
            was = run.old + run.size
        yield xz.compress(head)
        if run.how == NEAR:
            one, two = (
                before[run.old : run.old + run.size],
                after[run.at : run.at + run.size],
            )
            yield xz.compress(xor(one, two))
        elif run.how == NEW:
            for at in range(run.at, run.at + run.size, BLOCK):
                yield xz.compress(after[at : min(at + BLOCK, run.at + run.size)])
    yield xz.flush()


def apply_patch(old: Scratch, patch: BinaryIO) -> Iterator[bytes]:
    """Blocks of the new file. `patch` holds the packed patch; Failure when it is damaged."""
    try:
        with lzma.open(patch) as stream:
            yield from _follow(old, stream)
    except (lzma.LZMAError, EOFError, OverflowError) as error:
        raise Failure(f"a patch is damaged: {error}", hint="copy the delta again") from None


def _follow(old: Scratch, stream: BinaryIO | lzma.LZMAFile) -> Iterator[bytes]:
    was = 0
    while first := stream.read(1):
        how, left = first[0], _read_number(stream)
        if how not in (COPY, NEAR, NEW):
            raise lzma.LZMAError("unknown instruction")
        if how != NEW:
            moved = _read_number(stream)
            was += -((moved + 1) // 2) if moved % 2 else moved // 2
        while left:
            size = min(BLOCK, left)
            block = b"" if how == COPY else _exactly(stream, size)
            if how != NEW:
                before = old.read(was, size)
                if len(before) != size:
                    raise EOFError("it goes beyond the old file")
                block = before if how == COPY else xor(before, block)
                was += size
            left -= size
            yield block


def _number(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(stream: BinaryIO | lzma.LZMAFile) -> int:
    value = shift = 0
    while shift < 64:
        byte = _exactly(stream, 1)[0]
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value
    raise lzma.LZMAError("a number is too long")


def _exactly(stream: BinaryIO | lzma.LZMAFile, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError("it ends too early")
    return data
