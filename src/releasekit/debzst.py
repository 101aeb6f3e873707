"""Compress the payload of a deb that was made without compression with zstd.

nfpm's own zstd, in Go, looks back a few MiB: a tenth larger than one that finds what a package has
twice. dpkg reads it since 1.21.18 (Debian 12), that of Ubuntu since 18.04. Format: deb(5), ar(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from releasekit.errors import Failure
from releasekit.zstd import compressed

MAGIC = b"!<arch>\n"
BLOCK = 1 << 20
WINDOW = 27  # 128 MiB, the most that dpkg reads


def compress_deb(deb: Path, *, level: int) -> None:
    """Replace data.tar of `deb` by data.tar.zst, everything else as it is.

    `level` is zstd's, 1 to 19. The same input gives the same bytes on any machine.
    Raises Failure when the file is not a deb or its payload is compressed already.
    """
    whole = deb.with_suffix(".zst-part")
    with deb.open("rb") as source, whole.open("wb") as out:
        if source.read(len(MAGIC)) != MAGIC:
            raise Failure(f"{deb.name} is not a deb (no ar archive)")
        out.write(MAGIC)
        while header := source.read(60):
            name = header[:16].decode("ascii").strip().rstrip("/")
            size = int(header[48:58])
            if name == "data.tar":
                _copy_compressed(source, size, out, f"{name}.zst", header, level)
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
    source: BinaryIO, size: int, out: BinaryIO, name: str, header: bytes, level: int
) -> None:
    """Write one member under its new name; its size is known, and filled in, at the end."""
    at = out.tell()
    out.write(header)
    start = out.tell()
    for block in compressed(_blocks(source, size, name), size=size, level=level, window=WINDOW):
        out.write(block)
    end = out.tell()
    out.seek(at)
    out.write(
        name.ljust(16).encode() + header[16:48] + str(end - start).ljust(10).encode() + b"`\n"
    )
    out.seek(end)


def _blocks(source: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    left = size
    while left:
        block = source.read(min(BLOCK, left))
        if not block:
            raise Failure(f"{name}: the deb is cut short")
        yield block
        left -= len(block)
