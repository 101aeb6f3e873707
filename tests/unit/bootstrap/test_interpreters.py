from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.interpreters import (
    Interpreters,
    candidates,
    find_python39,
    python_debs,
    works,
)
from releasekit.locks import read_debian_lock

ROOT = Path(__file__).resolve().parents[3]


def program(folder: Path, body: str, name: str = "python3.9") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "body",
    [
        'echo "pyenv: python3.9: command not found" >&2; exit 127',  # a shim
        "echo 3.10",
        'echo "ModuleNotFoundError: No module named _ssl" >&2; exit 1',
        "echo 3.9; exit 1",
    ],
)
def test_a_python_that_does_not_really_start_is_skipped(tmp_path: Path, body: str) -> None:
    bad = program(tmp_path / "shims", body)
    good = program(tmp_path / "good", "echo 3.9")
    assert not works(bad, "3.9")
    assert find_python39([bad, tmp_path / "absent", good]) == good
    assert find_python39([bad]) is None


def test_path_comes_first_then_the_folders_of_version_managers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    places = [
        tmp_path / "bin",
        tmp_path / "pyenv/versions/3.9.18/bin",
        tmp_path / ".asdf/installs/python/3.9.2/bin",
        tmp_path / ".local/share/uv/python/cpython-3.9.20-linux-x86_64-gnu/bin",
    ]
    programs = [program(place, "echo 3.9") for place in places]
    program(tmp_path / "pyenv/versions/3.10.1/bin", "echo 3.10", "python3.10")
    (tmp_path / "bin2").mkdir()
    (tmp_path / "bin2/python3.9").touch()  # not executable
    monkeypatch.setenv("PATH", f"{tmp_path}/bin2:{tmp_path}/bin:/no/such:")
    found = [path for path in candidates() if tmp_path in path.parents]
    assert found == programs


def test_the_user_can_ask_for_the_assembled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKENDAI_PYTHON39", "assembled")
    assert find_python39([program(tmp_path, "echo 3.9")]) is None


def test_variables_that_distort_a_python_are_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/no/such")
    monkeypatch.setenv("PYTHONPATH", "/no/such")
    assert works(program(tmp_path, 'echo "3.9$PYTHONHOME$PYTHONPATH"'), "3.9")


def test_only_the_python_that_builds_gets_pip() -> None:
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    assert "trixie/python3-pip-whl" in python_debs(lock, "3.13")
    assert "trixie/python3-pip-whl" not in lock.of("python3.13")
    assert all(key.startswith("bullseye/") for key in python_debs(lock, "3.9"))


def test_an_interpreter_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bootstrap.cache import Cache

    found = program(tmp_path, "echo 3.9")
    asked: list[int] = []

    def find() -> Path:
        asked.append(1)
        return found

    monkeypatch.setattr("bootstrap.interpreters.find_python39", find)
    pythons = Interpreters(Cache(tmp_path / "cache"), ROOT)
    assert pythons.path("3.9") == pythons.path("3.9") == found
    assert asked == [1]
