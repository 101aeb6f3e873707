"""Compress the payload of a deb that was made without compression with xz.

nfpm's own xz is written in Go, five times slower than liblzma and less dense; zstd, its other choice,
cannot be read by the dpkg of Debian 11 (1.20). Format: deb(5), ar(5).
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import BinaryIO

from releasekit.errors import Failure

MAGIC = b"!<arch>\n"
BLOCK = 1 << 20


def compress_deb(deb: Path, *, preset: int) -> None:
    """Replace data.tar of `deb` by data.tar.xz, everything else as it is.

    `preset` is xz's level, 0 to 9. The same input gives the same bytes on any machine.
    Raises Failure when the file is not a deb or its payload is compressed already.
    """
    whole = deb.with_suffix(".xz-part")
    with deb.open("rb") as source, whole.open("wb") as out:
        if source.read(len(MAGIC)) != MAGIC:
            raise Failure(f"{deb.name} is not a deb (no ar archive)")
        out.write(MAGIC)
        while header := source.read(60):
            name = header[:16].decode("ascii").strip().rstrip("/")
            size = int(header[48:58])
            if name == "data.tar":
                _copy_compressed(source, size, out, f"{name}.xz", header, preset)
            elif name.startswith("data.tar"):
                raise Failure(f"{deb.name}: {name} is compressed already")
            else:
                out.write(header)
                out.write(source.read(size))
            source.read(size % 2)
            if out.tell() % 2:
                out.write(b"\n")
    whole.replace(deb)


def _copy_compressed(
    source: BinaryIO, size: int, out: BinaryIO, name: str, header: bytes, preset: int
) -> None:
    """Write one member under its new name; its size is known, and filled in, at the end."""
    at = out.tell()
    out.write(header)
    start = out.tell()
    xz = lzma.LZMACompressor(preset=preset, check=lzma.CHECK_CRC64)
    left = size
    while left:
        chunk = source.read(min(BLOCK, left))
        if not chunk:
            raise Failure(f"{name}: the deb is cut short")
        out.write(xz.compress(chunk))
        left -= len(chunk)
    out.write(xz.flush())
    end = out.tell()
    out.seek(at)
    out.write(
        name.ljust(16).encode() + header[16:48] + str(end - start).ljust(10).encode() + b"`\n"
    )
    out.seek(end)
