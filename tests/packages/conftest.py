"""Fixtures of the checks on built artefacts.

    pytest tests/packages [--dist DIR]

Tests that name `deb` or `rpm` run once per package file. `debs` and `rpms` are all of them, read once.
Without artefacts everything is skipped; with BACKENDAI_REQUIRE_DIST=1 that is a failure.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

from payload import Package, read_deb, read_rpm  # noqa: E402
from unpacked import RELEASE, Unpacked  # noqa: E402
from wheelhouse import NotInCache, Wheelhouse  # noqa: E402

import dist as artefacts  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    artefacts.add_option(parser)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per package file; one that says what is missing when there is none."""
    for kind in ("deb", "rpm"):
        if kind in metafunc.fixturenames:
            names = sorted(p.name for p in artefacts.folder(metafunc.config).glob(f"*.{kind}"))
            metafunc.parametrize(kind, names or [None], ids=names or ["absent"], indirect=True)


@pytest.fixture(scope="session")
def dist(request: pytest.FixtureRequest) -> Path:
    """The folder of artefacts."""
    folder = artefacts.folder(request.config)
    if not any(folder.glob("*.deb")) or not any(folder.glob("*.rpm")):
        artefacts.unavailable(f"no debs and rpms in {folder}: run ./pants package :: first")
    return folder


@pytest.fixture(scope="session")
def release() -> Mapping[str, Any]:
    """packaging/release.toml."""
    return RELEASE


@pytest.fixture(scope="session")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """All debs laid out in one folder, as dpkg would, and what was seen on the way."""
    seen = Unpacked(tmp_path_factory.mktemp("root"), _build_paths())
    for file in sorted(dist.glob("*.deb")):
        with seen.package(file.name.split("_")[0]) as visit:
            seen.debs.append(read_deb(file, visit))
    return seen


def _build_paths() -> tuple[bytes, ...]:
    """Byte strings that only a file which knows of its build would hold."""
    default = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backendai-packaged"
    )
    paths = {str(artefacts.REPOSITORY), os.environ.get("BACKENDAI_CACHE") or str(default)}
    if Path.home() != Path("/root"):  # of which upstream's own texts speak
        paths.add(str(Path.home()))
    return (*(path.encode() for path in sorted(paths)), b"pants-sandbox", b"pants_sandbox")


@pytest.fixture(scope="session")
def debs(unpacked: Unpacked) -> Mapping[str, Package]:
    """All debs by package name."""
    return {package.name: package for package in unpacked.debs}


@pytest.fixture(scope="session")
def rpms(dist: Path) -> Mapping[str, Package]:
    """All rpms by package name."""
    found = (read_rpm(file, lambda path, data: None) for file in sorted(dist.glob("*.rpm")))
    return {package.name: package for package in found}


@pytest.fixture
def deb(request: pytest.FixtureRequest, debs: Mapping[str, Package]) -> Package:
    """Each deb in turn."""
    return debs[request.param.split("_")[0]]


@pytest.fixture
def rpm(request: pytest.FixtureRequest, rpms: Mapping[str, Package]) -> Package:
    """Each rpm in turn."""
    return next(package for package in rpms.values() if package.file.name == request.param)


@pytest.fixture(scope="session")
def wheels() -> Wheelhouse:
    """The locked wheels, from the launcher's cache."""
    lock = json.loads((artefacts.REPOSITORY / "packaging/locks/python.lock").read_text("utf-8"))
    try:
        return Wheelhouse.of(lock["packages"])
    except NotInCache as missing:
        artefacts.unavailable(str(missing))
