"""backendai-release.pyz is whole: Python alone runs every verb of it, away from this repository."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TOOL = "backendai-release.pyz"


@pytest.fixture
def tool(dist: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(dist / TOOL, tmp_path))


@pytest.fixture
def bundle(dist: Path) -> Path:
    (found,) = dist.glob("backendai-*-deb-amd64.tar")
    return found


def run(tool: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-I", tool, *words]
    return subprocess.run(call, cwd=tool.parent, capture_output=True, text=True)


def test_it_is_the_same_file_in_the_bundle(tool: Path, bundle: Path) -> None:
    with tarfile.open(bundle) as tar:
        member = tar.extractfile(f"{bundle.name[: -len('.tar')]}/{TOOL}")
        assert member and member.read() == tool.read_bytes()


def test_it_says_what_it_does_under_its_own_name(tool: Path) -> None:
    done = run(tool, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: {TOOL} " in done.stdout


def test_it_checks_a_bundle(tool: Path, bundle: Path) -> None:
    """By signer.sh, which is in it, and the keys that the bundle shows."""
    shown = run(tool, "info", bundle, "--json")
    assert shown.returncode == 0, shown.stderr
    fingerprint = json.loads(shown.stdout)["facts"]["fingerprint"]
    done = run(tool, "verify", bundle, "--fingerprint", fingerprint)
    assert done.returncode == 0, done.stderr
    wrong = run(tool, "verify", bundle, "--fingerprint", "0" * 40)
    assert wrong.returncode == 1 and "hint:" in wrong.stderr
