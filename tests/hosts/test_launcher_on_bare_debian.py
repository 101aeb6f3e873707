"""Promise: git, Python 3 and no network are enough for ./pants, once the files are at hand.

The launcher assembles its own Python 3.9 and sets everything up from a vendor folder, as an
unprivileged user.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from host import Host, Result
from scenario import REPOSITORY, Hosts

from bootstrap.cache import default_cache
from dist import unavailable

PANTS_VERSION = "2.17.1"
SETUP_TIMEOUT = 900  # seconds
FILES = "/locked-files"
VENDOR = "/vendor"
CHECKOUT = "/home/builder/checkout"
HOME = {"HOME": "/home/builder"}


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A flat folder of links to every file in the cache, as hosts see the cache."""
    files = default_cache().root / "files"
    found = sorted(files.glob("*/*"))
    if not found:
        unavailable(f"no locked files in {files}: run ./pants package :: first")
    folder = tmp_path / "vendor"
    folder.mkdir(mode=0o755)
    for file in found:
        (folder / file.name).symlink_to(f"{FILES}/{file.parent.name}/{file.name}")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the repository: what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    if not (REPOSITORY / "pants").is_file():
        unavailable("the repository has no launcher ./pants")
    copy = tmp_path / "checkout"
    for name in filter(None, listed.stdout.split("\0")):
        source, target = REPOSITORY / name, copy / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return copy


def _prepare(host: Host) -> None:
    host.sh(f"useradd -m builder; cp -r /checkout {CHECKOUT}; chown -R builder {CHECKOUT}")
    host.sh("git init -q && git add -A", user="builder", cwd=CHECKOUT, env=HOME)


def _pants(host: Host, **environment: str) -> Result:
    return host.run(
        [f"{CHECKOUT}/pants", "--version"],
        user="builder",
        cwd=CHECKOUT,
        env={**HOME, **environment},
        timeout=SETUP_TIMEOUT,
    )


def test_sets_up_from_vendored_files_offline(hosts: Hosts, vendor: Path, checkout: Path) -> None:
    files = default_cache().root / "files"
    binds = {vendor: VENDOR, files: FILES, checkout: "/checkout"}
    with hosts.boot("trixie-builder", binds=binds) as host:
        _prepare(host)
        first = _pants(host, BACKENDAI_PYTHON39="assembled", BACKENDAI_VENDOR=VENDOR)
        assert first.returncode == 0, first
        assert first.stdout.split()[-1] == PANTS_VERSION, first
        assert host.sh("ls /home/builder/.cache/backendai-packaged/pythons/3.9-*/bin/python3.9")

        # A later run needs neither the vendor folder nor a network.
        again = _pants(host, BACKENDAI_PYTHON39="assembled")
        assert again.returncode == 0, again
        assert again.stdout.split()[-1] == PANTS_VERSION, again
        assert again.seconds < first.seconds


def test_names_the_cure_without_pythons_library(hosts: Hosts, checkout: Path) -> None:
    """Debian's python3-minimal has no shutil, tarfile or urllib: say so, do not fall over."""
    with hosts.boot("trixie-builder-minimal", binds={checkout: "/checkout"}) as host:
        _prepare(host)
        shown = _pants(host)
        assert shown.returncode != 0
        assert "Traceback" not in shown.stderr, shown
        assert "hint: " in shown.stderr, shown


def test_names_the_cure_without_network_or_files(hosts: Hosts, checkout: Path) -> None:
    """The first set-up needs a mirror or a vendor folder; without both: one clear error."""
    with hosts.boot("trixie-builder", binds={checkout: "/checkout"}) as host:
        _prepare(host)
        shown = _pants(host, BACKENDAI_PYTHON39="assembled")
        assert shown.returncode == 1, shown
        assert "Traceback" not in shown.stderr, shown
        assert "hint: " in shown.stderr, shown
