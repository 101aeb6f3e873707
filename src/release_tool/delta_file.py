"""The file of a delta: one line, a header, blobs. No byte of it is without a sha256.

    backendai-delta 1 SIZE SHA256\\n     of the header
    header                              JSON, packed by xz
    blob 0, blob 1, ...                 sizes and sha256 are in the header

Header: `old` and `new` (RELEASE of both), `file`, `size` and `sha256` of the tar it makes, `manifest`,
`signature` and `keyring` of the new bundle (these two in base64), `blobs`, `probes` (what liblzma
or zlib must pack alike, by preset), and `parts`, which make the tar one after the other. Each part has
`size`, `sha256` and `from`:

    tar     the next bytes of blob 0: what is between the files of the tar
    old     `path` is a file that the old bundle has too, under whatever name
    blob    `path` is the blob `blob`
    patch   `path` is made by the patch in the blob `blob` from the old file whose sha256 is `base`,
            or from nothing; with `pieces` the old file is unpacked for that, and the result packed
            again (see repack)
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import lzma
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from release_tool.bundle import BLOCK, Place
from release_tool.layout import Facts, parse_manifest
from releasekit.errors import Failure

MAGIC = b"backendai-delta 1 "
_FIRST = re.compile(rb"backendai-delta 1 (\d{1,10}) ([0-9a-f]{64})\n")
_LONGEST = 512 << 20  # bytes of an unpacked header
_HINT = "copy the delta again; if that does not help, have it made again"


def is_delta(path: Path) -> bool:
    """True when the file begins like a delta."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)).startswith(MAGIC[:-2])


def first_line(header: bytes) -> bytes:
    """The line before the packed header."""
    return MAGIC + b"%d %s\n" % (len(header), hashlib.sha256(header).hexdigest().encode())


def pack_header(header: dict[str, Any]) -> bytes:
    """The header as it is in the file."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9)


class DeltaFile:
    """An open delta. Its header is whole; blobs are checked when they are read, or by `check`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            line = stream.readline(120)
            match = _FIRST.fullmatch(line)
            if not match:
                raise Failure(f"{path} is not a delta, or its first line is damaged", hint=_HINT)
            raw = stream.read(int(match.group(1)))
        if hashlib.sha256(raw).hexdigest() != match.group(2).decode():
            raise Failure(f"{path}: the header of the delta is damaged", hint=_HINT)
        try:
            unpacked = lzma.LZMADecompressor().decompress(raw, max_length=_LONGEST)
            self.header: dict[str, Any] = json.loads(unpacked)
            self._read_header(len(line) + len(raw))
        except (lzma.LZMAError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{path}: the header of the delta is not right: {error!r}") from None
        if self.end != path.stat().st_size:
            raise Failure(
                f"{path}: the delta has {path.stat().st_size} bytes, not {self.end}", hint=_HINT
            )

    def _read_header(self, offset: int) -> None:
        header = self.header
        self.name, self.sha256 = str(header["file"]), str(header["sha256"])
        self.size = int(header["size"])
        self.parts: Sequence[dict[str, Any]] = header["parts"]
        self.new = Facts(header["new"])
        self.old = Facts(header["old"])
        self.manifest_data = header["manifest"].encode()
        self.manifest = parse_manifest(header["manifest"], str(self.path))
        self.signature = base64.b64decode(header["signature"], validate=True)
        self.keyring = base64.b64decode(header["keyring"], validate=True)
        self._blobs = []
        for blob in header["blobs"]:
            self._blobs.append((Place(self.path, offset, int(blob["size"])), str(blob["sha256"])))
            offset += int(blob["size"])
        self.end = offset
        if "/" in self.name or sum(part["size"] for part in self.parts) != self.size:
            raise ValueError("parts do not make the file")

    def check(self) -> Iterator[int]:
        """Read every blob; yields bytes read. Failure for a damaged one."""
        for number, (place, sha256) in enumerate(self._blobs):
            digest = hashlib.sha256()
            for block in place.blocks():
                digest.update(block)
                yield len(block)
            if digest.hexdigest() != sha256:
                raise Failure(f"{self.path}: the delta is damaged in its part {number}", hint=_HINT)

    def blob(self, number: int) -> BinaryIO:
        """A stream of one blob."""
        return io.BufferedReader(_Window(self._blobs[number][0]), BLOCK)


class _Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, place: Place) -> None:
        self._stream = place.file.open("rb", buffering=0)
        self._stream.seek(place.offset)
        self._left = place.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view: memoryview | bytes = memoryview(buffer)[: self._left]
        count = self._stream.readinto(view) if view else 0
        self._left -= count
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
