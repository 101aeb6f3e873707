from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bootstrap.source import environment


def git(root: Path, *argv: str) -> str:
    # fmt: off
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    # fmt: on
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *argv], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".gitignore").write_text("dist/\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    (checkout / "dist").mkdir()
    (checkout / "dist/x").write_text("what is ignored changes nothing")
    assert environment(checkout) == {
        "BACKENDAI_COMMIT": git(checkout, "rev-parse", "HEAD"),
        "BACKENDAI_TREE": git(checkout, "rev-parse", "HEAD^{tree}"),
    }


@pytest.mark.parametrize("name", [".gitignore", "new"])
def test_a_changed_or_new_file_makes_it_dirty(checkout: Path, name: str) -> None:
    (checkout / name).write_text("changed\n")
    commit = git(checkout, "rev-parse", "HEAD")
    assert environment(checkout)["BACKENDAI_COMMIT"] == f"{commit}-dirty"


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    unknown = {"BACKENDAI_COMMIT": "unknown", "BACKENDAI_TREE": "unknown"}
    (tmp_path / "plain").mkdir()
    assert environment(tmp_path / "plain") == unknown
    monkeypatch.setenv("PATH", "/no/such")
    assert environment(tmp_path) == unknown
