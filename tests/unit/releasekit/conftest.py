"""Fixtures of releasekit's tests: tiny wheels, made in the test, a stand-in, and a small inventory."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.cache import default_cache
from releasekit.locks import read_tools_lock
from releasekit.model import File, Inventory, Package, Part, Pex, ReleaseFacts

ROOT = Path(__file__).resolve().parents[3]
MakeWheel = Callable[..., Path]
Digest = Callable[[bytes], str]


@pytest.fixture(scope="session")
def build_libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The locked distributions that programs run with in a build, importable."""
    group = read_tools_lock(ROOT / "packaging/locks/tools.lock").group("build").packages
    folder = tmp_path_factory.mktemp("libraries")
    for name in ("cyclonedx-python-lib", "rpds-py", "setuptools"):
        if not default_cache().store.path(group[name]).is_file():
            pytest.skip(f"the launcher's cache has no {name}: run ./pants once")
    for entry in group.values():
        path = default_cache().store.path(entry)
        if path.is_file() and entry.size < 5_000_000:
            zipfile.ZipFile(path).extractall(folder)
    sys.path.append(str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def make_wheel() -> MakeWheel:
    """make_wheel(folder, name, files, version="1.0", metadata=..., modes={path: mode}) -> its path."""
    return _make_wheel


@pytest.fixture
def digest() -> Digest:
    """digest(data) -> the sha256 as RECORD spells it."""
    return _digest


@pytest.fixture
def patchelf(tmp_path: Path) -> Path:
    """Stands in for patchelf: writes how it was called to `called` beside it, a line each time."""
    path = tmp_path / "patchelf"
    path.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/called\n')
    path.chmod(0o755)
    return path


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


_RELEASE = ReleaseFacts(
    name="Example",
    version="1.0-1",
    number=7,
    date="2026-01-02T03:04:05+00:00",
    homepage="https://www.example.org",
    license="LGPL-3.0-only",
    vendor="Example Inc.",
)


def _part(kind: str, name: str, **more: Any) -> Part:
    """A part of version 1.0 whose file is named after it."""
    facts: dict[str, Any] = {"sha256": "a" * 64, "size": 1, "license": "MIT", "filename": name}
    return Part(name, "1.0", kind=kind, **{**facts, **more})


@pytest.fixture
def inventory() -> Inventory:
    """Two packages; a shared wheel, our own, an npm package, Debian's, one that is linked in."""
    agent = Package(
        name="example-agent",
        summary="The agent",
        arch="amd64",
        requires=("example-common",),
        files=(
            File("example-agent_1.0-1_amd64.deb", "b" * 64, 10),
            File("example-agent-1.0-1.x86_64.rpm", "c" * 64, 11),
        ),
    )
    common = Package("example-common", "Shared", "all")
    return Inventory(
        _RELEASE,
        (agent, common),
        (
            _part("deb", "libx1", filename="libx1_1.0_amd64.deb", packages=("example-common",)),
            _part(
                "embedded", "zlib (in node)", sha256="", filename="", packages=("example-agent",)
            ),
            _part("generic", "ours", packages=("example-common",), requires=("shared",)),
            _part("npm", "@scope/tool", packages=("example-agent",), license="ISC"),
            _part("pypi", "fixtures", packages=("example-common",), extent="files"),
            _part(
                "pypi",
                "one",
                packages=("example-agent",),
                requires=("shared", "absent"),
                license="MIT AND (Apache-2.0 OR BSD-3-Clause)",
                texts=("The licence.", "Another."),
            ),
            _part(
                "pypi",
                "shared",
                packages=("example-common",),
                texts=("The licence.\n",),
                license="LicenseRef-unstated",
            ),
        ),
        (Pex("one.pex", "d" * 64, 12, ("one", "shared")),),
    )
