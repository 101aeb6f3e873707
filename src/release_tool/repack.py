"""Debian packages and layers of images with their payload unpacked, and back again bit for bit.

The payload of a deb is an xz file (deb(5)). Its LZMA2 blocks are unpacked; everything else (ar headers,
control files, xz headers, checks, index) stays as it is. liblzma packs a block to the same bytes
again: 5.2 to 5.8 were compared. dpkg-deb makes blocks of 24 MiB, earlier releases of ours one. Payloads
packed by zstd, as ours are now, go as they are: its versions pack differently.

A layer is a gzip file (RFC 1952) of one member. zlib packs it to the same bytes again; zlib-ng does not.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from release_tool.bundle import Place

BLOCK = 1 << 20
_PACKED = 1 << 16  # bytes that are unpacked at once: zeros become a thousand times as much
_AR = b"!<arch>\n"
_CHECKS = {0: 0, 1: 4, 4: 8, 10: 32}  # bytes of a block's check by its kind
# Presets by the size of their dictionary as the block header codes it: 16 is 1 MiB.
_PRESETS = {16: (1,), 18: (2,), 20: (4, 3), 22: (6, 5), 24: (7,), 26: (8,), 28: (9,)}
_MOST = 100  # times the size of a layer that it may unpack to
_TRIED = 4 << 20  # bytes that are packed to find the preset
_GZIP, _HEAD, _TAIL = b"\x1f\x8b\x08\x00", 10, 8  # no name nor comment in the head
DEFLATE = 100  # added to the level of zlib
_LEVELS = (6, 9, 1, 5, 7, 8, 4, 3, 2)
AS_IS, UNKNOWN, UNKNOWN_DEFLATE = -1, -2, -3


class Piece(NamedTuple):
    """`size` bytes of the unpacked form, which are `packed` bytes of the package.

    `preset`: what packs them (0 to 9: LZMA2; DEFLATE and a level); AS_IS: they are not packed; UNKNOWN,
    UNKNOWN_DEFLATE: nothing we know does.
    """

    preset: int
    size: int
    packed: int


def pieces_of(deb: Place, *, presets: bool) -> list[Piece]:
    """The package or layer as pieces; empty when it is none whose payload is xz or gzip.

    `presets`: find out how to pack it again.
    """
    if _read(deb, 0, len(_GZIP)) == _GZIP:
        return _gzipped(deb, presets=presets)
    found = _payload(deb)
    if not found:
        return []
    start, size = found
    try:
        blocks = _blocks(deb, start, size)
    except (ValueError, IndexError, struct.error):
        return []
    pieces, at = [], 0
    for offset, packed, unpacked, properties in blocks:
        preset = UNKNOWN
        if presets:
            preset = _preset(_read(deb, offset, packed), unpacked, properties)
        pieces += [Piece(AS_IS, offset - at, offset - at), Piece(preset, unpacked, packed)]
        at = offset + packed
    return [*pieces, Piece(AS_IS, deb.size - at, deb.size - at)]


def unpacked(deb: Place, pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The unpacked form."""
    with deb.file.open("rb") as stream:
        stream.seek(deb.offset)
        for piece in pieces:
            left = piece.packed
            packer = _unpacker(piece.preset)
            while left:
                block = stream.read(min(_PACKED, left))
                if not block:
                    raise EOFError("cut short")
                left -= len(block)
                yield packer.decompress(block) if packer else block


def packed(blocks: Iterable[bytes], pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The package again, from its unpacked form."""
    source = iter(blocks)
    rest = b""
    for piece in pieces:
        packer = _packer(piece.preset) if piece.preset >= 0 else None
        left = piece.size
        while left:
            rest = rest or next(source, b"")
            if not rest:
                return  # too short: the sha256 of the result will tell
            block, rest = rest[:left], rest[left:]
            left -= len(block)
            yield packer.compress(block) if packer else block
        if packer:
            yield packer.flush()
    yield rest + b"".join(source)


def probe(preset: int) -> str:
    """Sha256 of a fixed text packed with a preset: the same where liblzma packs alike."""
    words = [hashlib.sha256(b"%d" % (n * n % 977)).hexdigest()[: 3 + n % 23] for n in range(40000)]
    packer = _packer(preset)
    return hashlib.sha256(packer.compress(" ".join(words).encode()) + packer.flush()).hexdigest()


def _packer(preset: int) -> Any:
    if preset >= DEFLATE:
        return zlib.compressobj(preset - DEFLATE, zlib.DEFLATED, -zlib.MAX_WBITS)
    return lzma.LZMACompressor(lzma.FORMAT_RAW, filters=_filters(preset))


def _unpacker(preset: int) -> Any:
    """None for what is not packed."""
    if preset == AS_IS:
        return None
    if preset == UNKNOWN_DEFLATE or preset >= DEFLATE:
        return zlib.decompressobj(-zlib.MAX_WBITS)
    # The largest dictionary of the presets reads what smaller ones packed.
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(9))


def _gzipped(layer: Place, *, presets: bool) -> list[Piece]:
    """A gzip file of one member as pieces; empty when it is another one, damaged, or made to fill disks."""
    size, inner = 0, layer.size - _HEAD - _TAIL
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    begin = b""
    try:
        for at in range(0, inner, _PACKED):
            block = reader.decompress(_read(layer, _HEAD + at, min(_PACKED, inner - at)))
            begin += block[: _TRIED - len(begin)]
            size += len(block)
            if size > _MOST * inner:
                return []
            if reader.eof:
                break
    except zlib.error:
        return []
    if not reader.eof or reader.unused_data or at + _PACKED < inner:
        return []
    preset = _level(layer, begin, whole=size == len(begin)) if presets else UNKNOWN_DEFLATE
    head, tail = Piece(AS_IS, _HEAD, _HEAD), Piece(AS_IS, _TAIL, _TAIL)
    return [head, Piece(preset, size, inner), tail]


def _level(layer: Place, begin: bytes, *, whole: bool) -> int:
    """Which level of zlib packs the beginning of a layer to its bytes, or UNKNOWN_DEFLATE."""
    wanted = _read(layer, _HEAD, min(layer.size - _HEAD, _TRIED + BLOCK))
    for level in _LEVELS:
        packer = _packer(DEFLATE + level)
        made = packer.compress(begin) + (packer.flush() if whole else b"")
        if made and wanted.startswith(made):
            return DEFLATE + level
    return UNKNOWN_DEFLATE


def _filters(preset: int) -> list[dict[str, int]]:
    return [{"id": lzma.FILTER_LZMA2, "preset": preset}]


def _read(deb: Place, offset: int, size: int) -> bytes:
    with deb.file.open("rb") as stream:
        stream.seek(deb.offset + offset)
        return stream.read(size)


def _payload(deb: Place) -> tuple[int, int] | None:
    """Where the data.tar.xz of the package is, and its size."""
    if _read(deb, 0, 8) != _AR:
        return None
    at = 8
    while at + 60 <= deb.size:
        header = _read(deb, at, 60)
        if not header[48:58].strip().isdigit():
            return None
        size = int(header[48:58])
        if header[:16].rstrip(b" /") == b"data.tar.xz":
            return (at + 60, size) if at + 60 + size <= deb.size else None
        at += 60 + size + size % 2
    return None


def _blocks(deb: Place, start: int, size: int) -> list[tuple[int, int, int, int]]:
    """Offset, packed and unpacked size of each LZMA2 block, and its dictionary's size as coded.

    Format: the .xz file format, version 1.2. ValueError for what is not made by dpkg-deb or us.
    """
    footer = _read(deb, start + size - 12, 12)
    if size < 32 or footer[10:] != b"YZ":
        raise ValueError
    check = _CHECKS.get(footer[9], -1)
    index_size = (struct.unpack("<I", footer[4:8])[0] + 1) * 4
    index = _read(deb, start + size - 12 - index_size, index_size)
    count, at = _number(index, 1)
    blocks, offset = [], start + 12
    for _ in range(count):
        whole, at = _number(index, at)
        unpacked_size, at = _number(index, at)
        head = _read(deb, offset, 64)
        length = (head[0] + 1) * 4
        place = 2
        for flag in (0x40, 0x80):
            if head[1] & flag:
                _, place = _number(head, place)
        if check < 0 or head[1] & 3 or head[place : place + 2] != b"\x21\x01":
            raise ValueError
        data = whole - length - check
        blocks.append((offset + length, data, unpacked_size, head[place + 2]))
        offset += -(-whole // 4) * 4
    if offset + index_size + 12 != start + size:
        raise ValueError
    return blocks


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _preset(data: bytes, size: int, properties: int) -> int:
    """Which preset packs the beginning of a block to these bytes, or UNKNOWN."""
    lzma2 = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(9))
    text = lzma2.decompress(data, max_length=min(_TRIED, size))
    for preset in _PRESETS.get(properties, ()):
        again = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=_filters(preset))
        begin = again.compress(text)
        begin += again.flush() if len(text) == size else b""
        if begin and data.startswith(begin):
            return preset
    return UNKNOWN
