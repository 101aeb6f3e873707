"""Fixtures of releasekit's tests: tiny wheels, made in the test."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MakeWheel = Callable[..., Path]
Digest = Callable[[bytes], str]


@pytest.fixture
def make_wheel() -> MakeWheel:
    """make_wheel(folder, name, files, version="1.0", metadata=..., modes={path: mode}) -> its path."""
    return _make_wheel


@pytest.fixture
def digest() -> Digest:
    """digest(data) -> the sha256 as RECORD spells it."""
    return _digest


def _make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, bytes],
    *,
    version: str = "1.0",
    metadata: str = "License: MIT\n",
    modes: Mapping[str, int] | None = None,
) -> Path:
    """A wheel of `files`; with its metadata, WHEEL and a correct RECORD added."""
    info = f"{name}-{version}.dist-info"
    inside = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},{_digest(data)},{len(data)}" for path, data in inside.items()]
    inside[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in inside.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = (modes or {}).get(path, 0o644) << 16
            archive.writestr(member, data)
    return wheel


def _digest(data: bytes) -> str:
    encoded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={encoded.decode()}"
