"""Fixtures of the virtual machine: a disk with our packages on it.

It takes minutes, so it is no part of `scripts/test`: run `scripts/test-vm`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
for _folder in (HERE, HERE.parent, HERE.parent / "hosts", REPOSITORY / "src"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

import artefacts  # noqa: E402
import roots  # noqa: E402
from machine import Disk, unmet  # noqa: E402

from dist import add_option, folder, unavailable  # noqa: E402

PACKAGES = ("runtime", "common", "ctl", "storage-proxy", "nftables", "nfs")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--dist``."""
    add_option(parser)


@pytest.fixture(scope="session")
def disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disk]:
    """Debian 13 with its own kernel and NFS, and the packages of a storage node."""
    reason = unmet()
    if reason:
        unavailable(reason)
    try:
        dist = artefacts.find(folder(request.config))
    except artefacts.NoArtefacts as missing:
        unavailable(str(missing))
    place = tmp_path_factory.mktemp("vm")
    tree = place / "tree"
    subprocess.run(["cp", "-a", str(roots.root("trixie-vm")), str(tree)], check=True)
    debs = [
        deb for deb in dist.debs if deb.name.split("_")[0].removeprefix("backendai-") in PACKAGES
    ]
    for deb in debs:
        shutil.copy(deb, tree / "var/tmp")
    install = ["dpkg", "-i", *(f"/var/tmp/{deb.name}" for deb in debs)]
    subprocess.run(["chroot", str(tree), *install], check=True, capture_output=True)
    for deb in debs:
        (tree / "var/tmp" / deb.name).unlink()
    yield Disk.made(tree, place)
    shutil.rmtree(place)
