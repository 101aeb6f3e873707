"""Promise: lint, fmt, check and test of ./pants do what they say, on files, on folders and on ::."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import goals
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]
UGLY = "import sys\nimport os\nx = {  'a':os.name, 'b':sys.path }\n"
TIDY = 'import os\nimport sys\n\nx = {"a": os.name, "b": sys.path}\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in miniature, with the settings of this one."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name, text in {
        "src/releasekit/a.py": UGLY,
        "src/releasekit/below/b.py": TIDY,
        "src/bootstrap/c.py": TIDY,
        "scripts/run": "#!/bin/sh\necho $1\n",
        "scripts/run.sh.j2": "#!/bin/sh\necho {{ $1 }}\n",
        "docs/a.md": "text\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def venv(_group: str) -> Path:
    return Path(sys.executable).parents[1]


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        (["src/releasekit/a.py"], ["src/releasekit/a.py"]),
        (["src/releasekit:"], ["src/releasekit/a.py"]),
        (["src/releasekit"], ["src/releasekit/a.py", "src/releasekit/below/b.py"]),
        (["src/releasekit/::"], ["src/releasekit/a.py", "src/releasekit/below/b.py"]),
        (["./src::", "docs/a.md"], ["docs/a.md", "src/bootstrap/c.py", "src/releasekit/a.py"]),
    ],
)
def test_a_spec_means_files(checkout: Path, specs: list[str], found: list[str]) -> None:
    assert set(found) <= set(goals.select(checkout, specs))
    assert len(goals.select(checkout, specs)) in (len(found), len(found) + 1)


def test_all_means_all_that_git_knows_or_would_take(checkout: Path) -> None:
    (checkout / ".gitignore").write_text("docs\n")
    found = goals.select(checkout, ["::"])
    assert "scripts/run" in found and "pyproject.toml" in found and "docs/a.md" not in found


@pytest.mark.parametrize("spec", ["nowhere", "src/none::", "src/releasekit:target"])
def test_a_spec_that_means_nothing_is_refused(checkout: Path, spec: str) -> None:
    with pytest.raises(Failure) as caught:
        goals.select(checkout, [spec])
    assert spec in caught.value.what


def test_lint_finds_and_changes_nothing(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert goals.run(checkout, ["lint", "::"], venv) == 1
    said = capfd.readouterr().out
    assert "error: ruff format" in said and "./pants fmt" in said
    assert (checkout / "src/releasekit/a.py").read_text() == UGLY
    assert goals.run(checkout, ["lint", "src/bootstrap"], venv) == 0
    assert "ok: ruff check" in capfd.readouterr().out


def test_lint_looks_at_shell_scripts_and_says_where_it_cannot(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = goals.run(checkout, ["lint", "scripts"], venv)
    said = capfd.readouterr().out
    if shutil.which("shellcheck"):
        assert status == 1 and "SC2086" in said and "error: shellcheck" in said
    else:
        assert "skipped: shellcheck of 1 files: not installed" in said


def test_fmt_mends_what_lint_finds(checkout: Path) -> None:
    assert goals.run(checkout, ["fmt", "lint", "src::"], venv) == 0
    assert (checkout / "src/releasekit/a.py").read_text() == TIDY


def test_check_is_strict(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (checkout / "src/backendai_ctl").mkdir()
    for other in ("src/backendai_command", "src/backendai_serve"):  # checked with it
        (checkout / other).mkdir()
        (checkout / other / "a.py").write_text("x = 1\n")
    wrong = checkout / "src/backendai_ctl/wrong.py"
    wrong.write_text("def f(a):\n    return a\n")
    assert goals.run(checkout, ["check", "src/backendai_ctl/wrong.py"], venv) == 1
    assert "missing a type annotation" in capfd.readouterr().out
    wrong.write_text("def f(a: int) -> int:\n    return a\n")
    assert goals.run(checkout, ["check", "src/backendai_ctl::"], venv) == 0


def test_a_goal_that_finds_nothing_of_its_kind_says_so(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for goal in ("lint", "fmt", "check"):
        assert goals.run(checkout, [goal, "docs"], venv) == 0
        assert f"{goal}: nothing to do" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["::"], ""),
        (["tests::", "--", "-k", "a b"], "-k|a b"),
        (["tests/unit::"], "tests/unit"),
        (["tests/unit/x/test_a.py", "tests/packages/"], "tests/unit/x/test_a.py|tests/packages"),
    ],
)
def test_test_calls_scripts_test_and_takes_its_status(
    checkout: Path, words: list[str], given: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("tests/unit/x/test_a.py", "tests/packages/test_b.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    script = checkout / "scripts/test"
    script.write_text('#!/bin/sh\nIFS="|"; echo "given $*"; exit 3\n')
    script.chmod(0o755)
    assert goals.run(checkout, ["test", *words], venv) == 1
    said = capfd.readouterr().out
    assert f"given {given}\n" in said and "exit status 3" in said


def test_changed_files_and_the_tests_that_mirror_them(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("tests/unit/releasekit/test_a.py", "tests/unit/releasekit/conftest.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    assert goals.changed(checkout, "HEAD") == []
    assert goals.run(checkout, ["lint", "test", "--changed-since=HEAD"], venv) == 0
    assert "test: nothing to do" in capfd.readouterr().out
    (checkout / "src/bootstrap/c.py").unlink()
    (checkout / "src/releasekit/a.py").write_text("x  = 1\n")
    (checkout / "scripts/new").write_text("#!/bin/sh\n")
    files = goals.changed(checkout, "HEAD")
    assert files == ["scripts/new", "src/releasekit/a.py"]
    assert goals.run(checkout, ["--changed-since=HEAD", "lint"], venv) == 1
    said = capfd.readouterr().out
    assert "would be reformatted" in said and "src/releasekit/a.py" in said
    assert goals.tests_of(checkout, files) == ["tests/unit/releasekit"]
    helper = ["tests/unit/releasekit/conftest.py", "tests/unit/releasekit/test_a.py"]
    assert goals.tests_of(checkout, helper) == ["tests/unit/releasekit", helper[1]]
    with pytest.raises(Failure, match="git knows no such commit"):
        goals.changed(checkout, "nowhere")


def test_help_knows_what_build_files_call(capfd: pytest.CaptureFixture[str]) -> None:
    assert goals.wanted(ROOT, ["help", "backendai_component"])
    assert goals.run(ROOT, ["help", "backendai_component"], venv) == 0
    said = capfd.readouterr().out
    assert "distributions" in said and "calls: {" in said
    assert {"backendai_server", "backendai_role", "backendai_package"} <= set(goals.macros(ROOT))


def test_a_place_without_tests_is_refused(checkout: Path) -> None:
    with pytest.raises(Failure, match="src::"):
        goals.run(checkout, ["test", "src::"], venv)


@pytest.mark.parametrize(
    "words",
    [
        ["lint"],
        ["lint", "--fix", "::"],
        ["fmt", "::", "--", "-k", "x"],
        ["lint", "::", "--changed-since=HEAD"],
    ],
)
def test_wrong_usage_is_refused_with_the_right_one(checkout: Path, words: list[str]) -> None:
    with pytest.raises(Failure) as caught:
        goals.run(checkout, words, venv)
    assert "usage: ./pants GOAL... SPEC..." in caught.value.hint


def test_pants_keeps_all_other_goals() -> None:
    assert not goals.wanted(ROOT, ["package", "::"])
    assert not goals.wanted(ROOT, ["--changed-since=HEAD", "list"])
    assert not goals.wanted(ROOT, ["list", "::", "--", "test"])
    assert not goals.wanted(ROOT, ["help", "targets"])
    assert goals.wanted(ROOT, ["help", "lint"]) and goals.wanted(ROOT, ["fmt", "lint", "::"])
    assert goals.wanted(ROOT, ["--changed-since=HEAD", "lint"])
    for mixed in (["package", "lint", "::"], ["--no-pantsd", "test", "::"]):
        with pytest.raises(Failure, match="not done by Pants"):
            goals.wanted(ROOT, mixed)


def test_the_launcher_hands_them_over() -> None:
    """As a person types it, on this checkout."""
    call = [str(ROOT / "pants"), "lint", "pyproject.toml"]
    done = subprocess.run(call, capture_output=True, text=True, cwd="/", env=dict(os.environ))
    assert done.returncode == 0, done
    assert "lint: nothing to do" in done.stdout
