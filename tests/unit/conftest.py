"""Fixtures for every suite: tiny Debian packages and ELF files, made in the test."""

from __future__ import annotations

import io
import shutil
import struct
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from signing_keys import ThrowAwayKey, throw_away_key

MakeDeb = Callable[..., Path]
MakeElf = Callable[..., bytes]


def _ar_member(name: str, data: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    return header + data + b"\n" * (len(data) % 2)


_MODES: dict[str, Literal["w:xz", "w:gz", "w:"]] = {"xz": "w:xz", "gz": "w:gz", "": "w:"}


def _tar(members: Sequence[tuple[tarfile.TarInfo, bytes]], compression: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=_MODES[compression]) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def _members(files: Mapping[str, bytes | str]) -> list[tuple[tarfile.TarInfo, bytes]]:
    """A value of bytes is a file (0755 if it is an ELF file or a script), a str a link."""
    members = []
    for name, value in files.items():
        info = tarfile.TarInfo(name)
        if isinstance(value, str):
            info.type, info.linkname, value = tarfile.SYMTYPE, value, b""
        else:
            info.mode = 0o755 if value[:4] == b"\x7fELF" or value[:2] == b"#!" else 0o644
        members.append((info, value))
    return members


@pytest.fixture(scope="session")
def throw_away() -> Iterator[ThrowAwayKey]:
    """An Ed25519 key without a passphrase, made once for all tests."""
    if shutil.which("gpg") is None:
        pytest.skip("this machine has no gpg")
    with throw_away_key() as key:
        yield key


@pytest.fixture
def make_deb() -> MakeDeb:
    """make_deb(path, files, package="x", compression="xz", extra=[(TarInfo, bytes)], fields={}) -> path.

    `fields`: of the control file, beyond those that each has.
    """

    def make(
        path: Path,
        files: Mapping[str, bytes | str],
        package: str = "x",
        compression: str = "xz",
        extra: Sequence[tuple[tarfile.TarInfo, bytes]] = (),
        data_name: str = "",
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> Path:
        rows = {"Package": package, "Version": "1.0", **fields, "Description": "one\n two"}
        control = "".join(f"{key}: {value}\n" for key, value in rows.items()).encode()
        suffix = f".{compression}" if compression else ""
        path.write_bytes(
            b"!<arch>\n"
            + _ar_member("debian-binary", b"2.0\n")
            + _ar_member("control.tar.xz", _tar(_members({"./control": control}), "xz"))
            + _ar_member(
                data_name or f"data.tar{suffix}",
                _tar([*_members(files), *extra], compression),
            )
        )
        return path

    return make


@pytest.fixture
def make_elf() -> MakeElf:
    """make_elf(needed=(), soname="", interpreter="", rpath="", runpath="", machine=62) -> bytes."""

    def make(
        needed: Sequence[str] = (),
        soname: str = "",
        interpreter: str = "",
        rpath: str = "",
        runpath: str = "",
        machine: int = 62,
    ) -> bytes:
        strings, dynamic = b"\0", b""
        texts = [(1, text) for text in needed] + [(14, soname), (15, rpath), (29, runpath)]
        for tag, text in texts:
            if text:
                dynamic += struct.pack("<qQ", tag, len(strings))
                strings += text.encode() + b"\0"
        heads = 64 + 3 * 56
        strings_at = heads + len(interpreter) + 1
        dynamic += struct.pack("<qQ", 5, 0x1000 + strings_at) + struct.pack("<qQ", 0, 0)
        dynamic_at = strings_at + len(strings)
        total = dynamic_at + len(dynamic)
        segments = [
            (1, 0, 0x1000, total),  # PT_LOAD, mapped at 0x1000
            (2, dynamic_at, 0x1000 + dynamic_at, len(dynamic)),
            (3 if interpreter else 0, heads, 0x1000 + heads, len(interpreter) + 1),
        ]
        header = struct.pack(
            "<16sHHIQQQIHHHHHH",
            b"\x7fELF\x02\x01\x01",
            3,
            machine,
            1,
            0,
            64,
            0,
            0,
            64,
            56,
            3,
            0,
            0,
            0,
        )
        table = b"".join(
            struct.pack("<IIQQQQQQ", kind, 4, offset, address, address, size, size, 1)
            for kind, offset, address, size in segments
        )
        return header + table + interpreter.encode() + b"\0" + strings + dynamic

    return make
