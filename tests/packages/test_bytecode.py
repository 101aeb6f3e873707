"""Byte-code is complete, trusted as shipped, and knows only the paths it is installed at."""

from __future__ import annotations

import importlib.util
import marshal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from unpacked import ENVIRONMENT, RUNTIME, Unpacked

UNCHECKED_HASH = 0b01  # PEP 552: by hash of the source, which is not compared


@pytest.fixture(scope="module", autouse=True)
def same_python() -> None:
    tag = sys.implementation.cache_tag
    assert tag == "cpython-313", (
        f"run these tests by CPython 3.13: this {tag} reads other byte-code"
    )


def modules(unpacked: Unpacked) -> Iterator[tuple[Path, Path]]:
    """Every module of the packages with the place of its byte-code."""
    for top in (ENVIRONMENT, RUNTIME):
        for source in (unpacked.root / top.lstrip("/") / "lib/python3.13").rglob("*.py"):
            yield source, source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"


def test_every_module_that_compiles_has_its_byte_code(unpacked: Unpacked) -> None:
    absent = []
    for source, compiled in modules(unpacked):
        if compiled.exists():
            continue
        try:
            compile(source.read_bytes(), str(source), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue  # for another Python
        absent.append(str(source))
    assert absent == []


def test_no_byte_code_is_without_its_module(unpacked: Unpacked) -> None:
    wanted = {compiled for _, compiled in modules(unpacked)}
    there = {
        Path(unpacked.root, path.lstrip("/")) for path in unpacked.owners if path.endswith(".pyc")
    }
    assert sorted(map(str, there - wanted)) == []


def test_byte_code_is_trusted_as_shipped_and_fits_its_module(unpacked: Unpacked) -> None:
    wrong = []
    for source, compiled in modules(unpacked):
        if not compiled.exists():
            continue
        with compiled.open("rb") as stream:
            head = stream.read(16)
        expected = importlib.util.MAGIC_NUMBER + struct.pack("<I", UNCHECKED_HASH)
        if head[:8] != expected or head[8:] != importlib.util.source_hash(source.read_bytes()):
            wrong.append(str(compiled))
    assert wrong == []


def test_code_objects_name_the_installed_path(unpacked: Unpacked) -> None:
    wrong = []
    for source, compiled in modules(unpacked):
        if compiled.exists():
            code = marshal.loads(compiled.read_bytes()[16:])
            shown = f"/{source.relative_to(unpacked.root)}"
            wrong += [f"{shown}: {name}" for name in file_names(code) if name != shown]
    assert wrong == []


def file_names(code: CodeType) -> set[str]:
    """The file names in a code object and in all inside it."""
    names = {code.co_filename}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= file_names(constant)
    return names
