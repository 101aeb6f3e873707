from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.cache import Cache
from bootstrap.pip import Pip
from bootstrap.venvs import MARKER, ensure_venv, group_packages
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import ToolGroup, ToolsLock


class Pythons:
    """Stands in for Interpreters: the running Python, and the fake pip."""

    def __init__(self, pip: Pip) -> None:
        self._pip = pip

    def path(self, version: str) -> Path:
        return Path(sys.executable)

    def pip(self, version: str) -> Pip:
        return self._pip

    def host_pip(self) -> Pip:
        return self._pip


INSTALL = """
import os, pathlib, sys
index = pathlib.Path(os.environ["FAKE_INDEX"])
(index / "argv").write_text("\\n".join(sys.argv[1:]))
if (index / "fail-always").exists():
    sys.exit("ERROR: " + (index / "fail-always").read_text())
"""


@pytest.fixture
def tools(cache: Cache, pip: Pip, tmp_path: Path, entry: Callable[..., Entry]) -> ToolsLock:
    """A lock whose only wheel is in the store already."""
    (pip.library / "pip/__main__.py").write_text(INSTALL)
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"a")
    locked = entry(b"a", "a-1.0-py3-none-any.whl")
    cache.store.add(locked, wheel)
    return ToolsLock({"test": ToolGroup("3.13", {"a": locked})}, {})


def make(cache: Cache, pip: Pip, tools: ToolsLock) -> Path:
    return ensure_venv(cache, Pythons(pip), tools, "test")  # type: ignore[arg-type]


def test_an_environment_is_installed_offline_by_hash(
    cache: Cache, pip: Pip, tools: ToolsLock, index: Path
) -> None:
    venv = make(cache, pip, tools)
    assert (venv / MARKER).is_file()
    assert (venv / "bin/python").exists()
    argv = (index / "argv").read_text().splitlines()
    assert {"--no-index", "--no-deps", "--require-hashes"} <= set(argv)


def test_a_finished_one_is_left_alone(
    cache: Cache, pip: Pip, tools: ToolsLock, index: Path
) -> None:
    venv = make(cache, pip, tools)
    (index / "argv").unlink()
    assert make(cache, pip, tools) == venv
    assert not (index / "argv").exists()


def test_a_broken_off_one_is_made_again(
    cache: Cache, pip: Pip, tools: ToolsLock, index: Path
) -> None:
    (index / "fail-always").write_text("network")
    with pytest.raises(Failure, match="environment of test failed"):
        make(cache, pip, tools)
    (folder,) = (cache.root / "venvs").iterdir()
    assert not (folder / MARKER).exists()
    (folder / "rubbish").touch()
    (index / "fail-always").unlink()
    venv = make(cache, pip, tools)
    assert venv == folder
    assert not (venv / "rubbish").exists()


def test_one_whose_python_has_gone_is_made_again(cache: Cache, pip: Pip, tools: ToolsLock) -> None:
    venv = make(cache, pip, tools)
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/no/such/python")
    make(cache, pip, tools)
    assert (venv / "bin/python").exists()


def test_a_full_disk_is_told_as_such(cache: Cache, pip: Pip, tools: ToolsLock, index: Path) -> None:
    (index / "fail-always").write_text("No space left on device")
    with pytest.raises(OSError, match="No space left"):
        make(cache, pip, tools)


def test_pants_test_comes_on_top_of_pants(entry: Callable[..., Entry]) -> None:
    a, b = entry(b"a", "a.whl"), entry(b"b", "b.whl")
    tools = ToolsLock(
        {"pants": ToolGroup("3.9", {"a": a}), "pants-test": ToolGroup("3.9", {"b": b})}, {}
    )
    assert set(group_packages(tools, "pants-test")) == {"a", "b"}
    with pytest.raises(Failure, match="no group 'nothing'") as caught:
        group_packages(tools, "nothing")
    assert "pants, pants-test" in caught.value.hint
