"""A small reader of ELF files: interpreter, needed libraries, search paths, own name.

Layout: System V ABI (ELF64, little endian). Only what a runtime has to check is read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import Failure

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_X86_64 = 62


@dataclass(frozen=True)
class Elf:
    """What the dynamic loader reads of a file. Absent texts are empty."""

    machine: int
    interpreter: str
    needed: tuple[str, ...]
    soname: str
    rpath: str
    runpath: str

    @property
    def x86_64(self) -> bool:
        """True for the one machine that is built for."""
        return self.machine == _X86_64


def is_elf(path: Path) -> bool:
    """True for an ELF file, by its first four bytes."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def read_elf(path: Path) -> Elf:
    """Read an ELF64 file; Failure when it is not one or is damaged."""
    return parse_elf(path.read_bytes(), str(path))


def parse_elf(data: bytes, path: str) -> Elf:
    """The same of bytes; `path` is what errors call them."""
    if data[:4] != b"\x7fELF" or len(data) < _HEADER.size:
        raise Failure(f"{path} is not an ELF file")
    if data[4:6] != b"\x02\x01":
        raise Failure(f"{path} is not a 64-bit little-endian ELF file")
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError) as error:
        raise Failure(f"{path}: damaged ELF file: {error}") from None


def _parse(data: bytes) -> Elf:
    header = _HEADER.unpack_from(data)
    machine, offset, size, count = header[2], header[5], header[9], header[10]
    segments = [_SEGMENT.unpack_from(data, offset + index * size) for index in range(count)]
    interpreter = ""
    dynamic: dict[int, list[int]] = {}
    for kind, _, start, _, _, length, _, _ in segments:
        if kind == _PT_INTERP:
            interpreter = data[start : start + length].rstrip(b"\0").decode()
        elif kind == _PT_DYNAMIC:
            dynamic = _dynamic(data[start : start + length])

    def texts(tag: int) -> list[str]:
        if tag not in dynamic:
            return []
        table = _file_offset(segments, dynamic[_DT_STRTAB][0])
        return [_text(data, table + value) for value in dynamic[tag]]

    def text(tag: int) -> str:
        return (texts(tag) or [""])[0]

    return Elf(
        machine=machine,
        interpreter=interpreter,
        needed=tuple(texts(_DT_NEEDED)),
        soname=text(_DT_SONAME),
        rpath=text(_DT_RPATH),
        runpath=text(_DT_RUNPATH),
    )


def _dynamic(section: bytes) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for start in range(0, len(section) - _DYNAMIC.size + 1, _DYNAMIC.size):
        tag, value = _DYNAMIC.unpack_from(section, start)
        if tag == 0:
            break
        found.setdefault(tag, []).append(value)
    return found


def _file_offset(segments: list[tuple[int, ...]], address: int) -> int:
    for kind, _, start, virtual, _, length, _, _ in segments:
        if kind == _PT_LOAD and virtual <= address < virtual + length:
            return start + address - virtual
    raise ValueError(f"address {address:#x} is in no segment")


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
