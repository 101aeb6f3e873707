"""A program as one file: Python runs it, and the same files make the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.zip_app import ZipSpec, make

FILES = {
    "tool/__init__.py": "",
    "tool/cli.py": """\
import os

def run():
    there = os.path.join(os.path.dirname(__file__), "data.txt")
    print(__loader__.get_data(there).decode(), end="")
""",
    "tool/data.txt": "it works\n",
}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ZipSpec:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ZipSpec("app", sorted(FILES), "tool.cli:run", "tool.pyz", 1_793_404_800)


def test_python_runs_it_with_its_files_and_nothing_else(spec: ZipSpec, tmp_path: Path) -> None:
    make(spec)
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / spec.output], cwd="/", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "it works\n", "")


def test_the_same_files_make_the_same_bytes(spec: ZipSpec) -> None:
    make(spec)
    first = Path(spec.output).read_bytes()
    os.utime("app/tool/cli.py", (1, 1))
    os.chmod("app/tool/cli.py", 0o600)
    make(ZipSpec(spec.root, spec.files[::-1], spec.main, spec.output, spec.mtime))
    assert Path(spec.output).read_bytes() == first


@pytest.mark.parametrize("main", ["tool.other:run", "tool.cli", "tool.cli:1"])
def test_a_start_that_is_not_in_it_is_refused(spec: ZipSpec, main: str) -> None:
    with pytest.raises(Failure, match=r"not a MODULE:FUNCTION of tool\.pyz"):
        make(ZipSpec(spec.root, spec.files, main, spec.output, spec.mtime))
    assert not Path(spec.output).exists()
