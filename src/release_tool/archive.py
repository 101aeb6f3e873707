"""The tar of a bundle, read by nothing but what releasekit.tarball writes.

Of a tar file only the contents of files are signed, and tar takes much more from it: sparse maps, extended
headers, links, what follows the end. So each header is made again from name, size, mode and time, and
compared byte for byte; what is not as it would be written is refused, whatever it might mean to some tar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from releasekit.bundle import PLAIN_NAME
from releasekit.errors import Failure

BLOCK, RECORD = 512, 10240
FILE, FOLDER, LONG_NAME = b"0", b"5", b"L"
_LONGEST = 4096  # bytes of a path
_OCTAL = re.compile(rb"[0-7]+")


@dataclass(frozen=True)
class Member:
    """A file of the tar: its content is `size` bytes from `offset` on."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Archive:
    """All files, the one folder they are in, and the time stamp that every entry has."""

    members: tuple[Member, ...]
    top: str
    mtime: int


class _Odd(Exception):
    """Not as our builder writes it."""


def read(path: Path) -> Archive:
    """The files of a bundle's tar; Failure for a tar with anything in it that we would not write."""
    with path.open("rb") as stream:
        reader = _Reader(stream, path.stat().st_size)
        try:
            return reader.archive()
        except _Odd as odd:
            raise Failure(
                f"{path}, byte {reader.at}: {odd}",
                hint="it is damaged or cut short, or was not made by ./pants package: do not use it, "
                "get it again",
            ) from None


def header(name: bytes, kind: bytes, *, mode: int, size: int, mtime: int) -> bytes:
    """The 512 bytes before a file or folder; a name longer than 100 bytes is cut."""
    fields = b"".join(
        [
            name[:100].ljust(100, b"\0"),
            _number(mode, 8) + _number(0, 8) + _number(0, 8),
            _number(size, 12) + _number(mtime, 12),
            b" " * 8,  # the sum, which counts itself as blanks
            kind.ljust(101, b"\0"),
            b"ustar  \0",
        ]
    ).ljust(BLOCK, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _number(value: int, width: int) -> bytes:
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def _value(field: bytes) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    if not _OCTAL.fullmatch(field[:-1]):
        raise _Odd("this is not a header of a tar file")
    return int(field[:-1], 8)


class _Reader:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self.at = 0  # of the header that is looked at

    def archive(self) -> Archive:
        members: list[Member] = []
        folders: set[str] = set()
        last, mtime = "", None
        while block := self._entry():
            name, kind, size, stamp = block
            mtime = stamp if mtime is None else mtime
            if not last < name:
                raise _Odd(
                    f"{name} comes after {last}: entries are sorted, and none is there twice"
                )
            above = name.rpartition("/")[0]
            if above not in folders and (above or folders or kind != FOLDER):
                raise _Odd(f"{name} is in no folder of the bundle")
            if stamp != mtime:
                raise _Odd(f"{name} has another time than what is before it")
            if kind == FOLDER:
                folders.add(name)
            else:
                members.append(Member(name.partition("/")[2], self._stream.tell(), size))
                self._stream.seek(size, 1)
                self._zeros(-size % BLOCK)
            last = name
            self.at = self._stream.tell()
        return Archive(tuple(members), last.partition("/")[0], mtime or 0)

    def _entry(self) -> tuple[str, bytes, int, int] | None:
        """Name, kind, size and time of the next entry, none at the end; the stream is after its header."""
        block = self._exactly(BLOCK)
        if block == bytes(BLOCK):
            self._end()
            return None
        long = b""
        if block[156:157] == LONG_NAME:
            size = _value(block[124:136])
            if not 100 < size - 1 <= _LONGEST:
                raise _Odd("a long name is not as it would be written")
            self._same(block, header(b"././@LongLink", LONG_NAME, mode=0, size=size, mtime=0))
            long = self._exactly(size - 1)
            if self._exactly(1) != b"\0":  # tar reads a name up to its first NUL
                raise _Odd("a long name is not as it would be written")
            self._zeros(-size % BLOCK)
            block = self._exactly(BLOCK)
        kind, mode = block[156:157], _value(block[100:108])
        size, mtime = _value(block[124:136]), _value(block[136:148])
        name = long or block[:100].rstrip(b"\0")
        self._same(block, header(name, kind, mode=mode, size=size, mtime=mtime))
        text = name.decode("ascii", "replace")
        if kind == FOLDER and text.endswith("/") and size == 0 and mode == 0o755:
            text = text[:-1]
        elif kind != FILE or mode not in (0o644, 0o755):
            raise _Odd(
                f"{text!r} is neither a regular file nor a directory: a bundle has nothing else"
            )
        if not all(PLAIN_NAME.match(part) for part in text.split("/")):
            raise _Odd(f"{text!r} is a name that no bundle has")
        if self._stream.tell() + size > self._size:
            raise _Odd("the file is cut short")
        return text, kind, size, mtime

    def _same(self, found: bytes, expected: bytes) -> None:
        if found != expected:
            raise _Odd("a header is not as it would be written")

    def _end(self) -> None:
        """After the last entry: zeros up to a whole record, two blocks at least, and then nothing."""
        rest = -(self._stream.tell() + BLOCK) % RECORD + BLOCK
        self._zeros(rest)
        if self._stream.tell() != self._size:
            raise _Odd(f"{self._size - self._stream.tell()} bytes follow the end")

    def _zeros(self, count: int) -> None:
        if self._exactly(count) != bytes(count):
            raise _Odd("there is something between two files")

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) != count:
            raise _Odd("the file is cut short")
        return data
