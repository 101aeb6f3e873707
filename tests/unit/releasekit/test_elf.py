from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit.elf import is_elf, parse_elf, read_elf
from releasekit.errors import Failure


def test_reads_what_the_loader_reads(tmp_path: Path, make_elf: Callable[..., bytes]) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(
        make_elf(
            needed=["libc.so.6", "libm.so.6"],
            soname="libx.so.1",
            interpreter="/lib64/ld.so",
            rpath="$ORIGIN/../lib",
        )
    )
    elf = read_elf(path)
    assert elf.needed == ("libc.so.6", "libm.so.6")
    assert (elf.soname, elf.interpreter) == ("libx.so.1", "/lib64/ld.so")
    assert (elf.rpath, elf.runpath, elf.x86_64) == ("$ORIGIN/../lib", "", True)


def test_bytes_are_read_as_a_file_is(tmp_path: Path, make_elf: Callable[..., bytes]) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(make_elf(needed=["libc.so.6"], soname="libx.so.1"))
    assert parse_elf(path.read_bytes(), "x") == read_elf(path)
    with pytest.raises(Failure, match="in/a/package is not an ELF file"):
        parse_elf(b"", "in/a/package")


def test_a_static_file_needs_nothing(tmp_path: Path, make_elf: Callable[..., bytes]) -> None:
    path = tmp_path / "x"
    path.write_bytes(make_elf(runpath="/x", machine=183))
    elf = read_elf(path)
    assert (elf.needed, elf.interpreter, elf.runpath, elf.x86_64) == ((), "", "/x", False)


def test_the_running_python_can_be_read() -> None:
    assert read_elf(Path("/proc/self/exe").resolve()).x86_64


@pytest.mark.parametrize("cut", [3, 40, 100, 200])
def test_a_damaged_file_is_a_clear_error(
    tmp_path: Path, make_elf: Callable[..., bytes], cut: int
) -> None:
    path = tmp_path / "x"
    path.write_bytes(make_elf(needed=["a"])[:cut])
    with pytest.raises(Failure, match=str(path)):
        read_elf(path)


def test_text_and_32_bit_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"#!/bin/sh\n")
    assert not is_elf(path)
    with pytest.raises(Failure, match="not an ELF file"):
        read_elf(path)
    path.write_bytes(b"\x7fELF\x01\x01" + bytes(100))
    with pytest.raises(Failure, match="not a 64-bit"):
        read_elf(path)
