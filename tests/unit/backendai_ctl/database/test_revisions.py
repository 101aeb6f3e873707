"""Schema revisions are read from scripts, never by running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.database.revisions import Revisions, read
from backendai_ctl.errors import Problem


def script(folder: Path, name: str, down: str, body: str = "") -> None:
    text = (
        f'"""Revises: x"""\nrevision = "{name}"  # Part of: 26.9.0\ndown_revision = {down}\n{body}'
    )
    (folder / f"{name}_about.py").write_text(text)


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """a - b - d - e, a - c - d: a branch that was merged."""
    (tmp_path / "__init__.py").touch()
    script(tmp_path, "a", "None", "raise SystemExit('it was run')")
    script(tmp_path, "b", '"a"')
    script(tmp_path, "c", "'a'  # a comment with \"z\" in it")
    script(tmp_path, "d", '("b", "c")', 'op.execute("COMMIT")')
    script(tmp_path, "e", '(\n    "d",\n)', 'op.execute("CREATE TEMP TABLE t ON COMMIT DROP")')
    return tmp_path


def test_the_head_is_what_nothing_follows(scripts: Path) -> None:
    assert read(scripts).head == "e"


@pytest.mark.parametrize(
    ("current", "pending"),
    [("e", ""), ("d", "e"), ("b", "cde"), ("c", "bde"), ("a", "bcde")],
)
def test_pending_is_all_that_is_missing_also_of_merged_branches(
    scripts: Path, current: str, pending: str
) -> None:
    assert read(scripts).pending(current) == set(pending)


def test_a_script_that_commits_is_known(scripts: Path) -> None:
    revisions = read(scripts)
    assert revisions.committing == {"d"}
    assert not revisions.one_transaction("b")
    assert revisions.one_transaction("d")


def test_two_heads_are_no_release(scripts: Path) -> None:
    script(scripts, "f", '"c"')
    with pytest.raises(Problem, match="2 newest"):
        _ = read(scripts).head


def test_a_missing_script_is_seen(scripts: Path) -> None:
    (scripts / "b_about.py").unlink()
    with pytest.raises(Problem, match="revisions b are missing"):
        read(scripts)


def test_a_file_without_a_revision_is_seen(scripts: Path) -> None:
    (scripts / "x.py").write_text("pass")
    with pytest.raises(Problem, match=r"x\.py"):
        read(scripts)


def test_unknown_revisions_are_not_in_it() -> None:
    revisions = Revisions({"a": (), "b": ("a",)})
    assert "a" in revisions
    assert "z" not in revisions
