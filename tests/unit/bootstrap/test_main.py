from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootstrap import __main__ as launcher
from bootstrap.setup import Ready
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]
PATHS = {
    "pants": "/venv/bin/pants",
    "python3.13": "/py/bin/python3.13",
    "pex": "/tools/pex",
    "nfpm": "/tools/nfpm",
    "patchelf": "/tools/patchelf",
}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], dict[str, str]]]:
    calls: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        "bootstrap.__main__.os.execve", lambda path, argv, env: calls.append((path, argv, env))
    )
    monkeypatch.setattr(launcher, "warm", lambda cache, root: Ready(PATHS, ()))
    monkeypatch.setattr("bootstrap.signing.prepare", lambda root: {})
    return calls


def test_a_warm_start_becomes_pants_with_the_paths_in_the_environment(
    executed: list[tuple[str, list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKENDAI_CACHE", "/cache")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setattr(launcher, "_warn_of_little_space", lambda: None)  # there is no /cache
    launcher.run(["launch", "--frozen", "package", "a b::"])
    ((program, argv, env),) = executed
    assert (program, argv[1:]) == (
        "/venv/bin/python",
        [str(ROOT / "src/starter"), "package", "a b::"],
    )
    assert env["BACKENDAI_PYTHON"] == "/py/bin/python3.13"
    assert env["BACKENDAI_CACHE"] == "/cache"
    assert "PYTHONPATH" not in env


@pytest.mark.parametrize(("free", "warned"), [(14, True), (15, False)])
def test_a_disk_too_small_for_a_release_is_told_before_the_build(
    executed: list[tuple[str, list[str], dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    free: int,
    warned: bool,
) -> None:
    monkeypatch.setenv("BACKENDAI_CACHE", str(tmp_path))
    disk = SimpleNamespace(f_bavail=free * 10**6, f_frsize=1000)
    monkeypatch.setattr("bootstrap.__main__.os.statvfs", lambda _: disk)
    launcher.run(["launch", "package", "::"])
    told = capsys.readouterr().err
    assert ("14.0 GB are free" in told) is warned
    assert ("hint: free some, or name another disk in BACKENDAI_CACHE" in told) is warned
    assert executed  # a warning: nobody knows how much is in the cache already


@pytest.mark.parametrize(
    ("args", "variable", "key", "frozen"),
    [
        (["x"], "", "", False),
        (["--frozen"], "", "", True),
        ([], "1", "", True),
        ([], "0", "", False),
        (["--allow-drift"], "1", "", False),
        (["package", "::"], "", "release.asc", True),
        (["package", "::"], "0", "release.asc", False),
        (["--allow-drift", "package", "::"], "", "release.asc", False),
    ],
)
def test_frozen_is_an_option_a_variable_and_the_rule_where_a_key_is_given(
    monkeypatch: pytest.MonkeyPatch, args: list[str], variable: str, key: str, frozen: bool
) -> None:
    monkeypatch.setenv("BACKENDAI_SIGNING_KEY", key)
    seen: list[bool] = []

    def set_up(root: Path, *, frozen: bool) -> Ready:
        seen.append(frozen)
        raise Failure("stop")

    monkeypatch.setenv("BACKENDAI_FROZEN", variable)
    monkeypatch.setattr(launcher, "warm", lambda cache, root: None)
    monkeypatch.setattr(launcher, "set_up", set_up)
    assert launcher.run(["launch", *args]) == 1
    assert seen == [frozen]


def test_a_drifted_set_up_is_named_at_every_start(
    executed: list[tuple[str, list[str], dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(launcher, "warm", lambda cache, root: Ready(PATHS, ("trixie/liba",)))
    launcher.run(["launch", "list"])
    assert "drifted from the lock: trixie/liba" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (Failure("no mirror", hint="set one"), "error: no mirror\nhint: set one\n"),
        (OSError(errno.ENOSPC, "x", "/c/f"), "error: /c/f: x\nhint: set-up needs about 1.5 GB"),
        (PermissionError(errno.EACCES, "denied", "/c"), "error: /c: denied\nhint: the cache must"),
    ],
)
def test_errors_are_two_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    shown: str,
) -> None:
    def broken(argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(launcher, "main", broken)
    assert launcher.run([]) == 1
    assert capsys.readouterr().err.startswith(shown)


def test_an_interrupt_says_that_it_resumes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher, "main", interrupted)
    assert launcher.run([]) == 130
    assert "run again to resume" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["venv"], ["ensure", "--group"]])
def test_wrong_usage_ends_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.run(argv) == 2
    assert "usage: ./pants" in capsys.readouterr().err


def test_the_shell_launcher_passes_words_untouched_and_leaves_no_byte_code(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pants", tmp_path / "pants")
    package = tmp_path / "src/bootstrap"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("def run(argv):\n    print(argv)\n    return 7\n")
    done = subprocess.run(
        [tmp_path / "pants", "--frozen", "a b", "", "*"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert done.stdout == "['launch', '--frozen', 'a b', '', '*']\n"
    assert not list(tmp_path.rglob("__pycache__"))
