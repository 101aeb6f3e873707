"""scripts/bump edits what names a release, all of it or nothing."""

from __future__ import annotations

import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
import tomllib

from devtools import bump
from devtools.bump import Release
from releasekit import agreement
from releasekit.errors import Failure

ROOT = Path(__file__).resolve().parents[3]
TABLE = (ROOT / bump.TABLE).read_text("utf-8")
TODAY = datetime(2027, 1, 2, 3, 4, tzinfo=timezone.utc)


def test_another_version_begins_at_its_first_revision() -> None:
    now = Release("26.9.6", 2, 7, "2026-11-28T00:00:00Z")
    assert bump.following(now, "26.9.7", TODAY) == Release("26.9.7", 1, 8, "2027-01-02T00:00:00Z")
    assert bump.following(now, "26.9.6", TODAY) == Release("26.9.6", 3, 8, "2027-01-02T00:00:00Z")


@pytest.mark.parametrize("version", ["26.9", "v26.9.7", "26.9.7; rm", "", "26.9.x"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(Failure, match="is no version"):
        bump.following(bump.current(TABLE), version, TODAY)


def test_the_table_agrees_with_itself_and_keeps_its_comments() -> None:
    old = bump.current(TABLE)
    new = bump.following(old, "31.12.10rc1", TODAY)
    text = bump.table_of(TABLE, new)
    table = tomllib.loads(text)
    assert bump.current(text) == new
    lock = {"python": table["python"]["version"], "platform": table["python"]["platform"]}
    inputs = {name: {"version": version} for name, version in table["inputs"].items()}
    agreement.check(table, {**lock, "packages": inputs})
    assert len(table["changelog"]) == len(tomllib.loads(TABLE)["changelog"]) + 1
    assert [line.partition("#")[2] for line in TABLE.splitlines() if "#" in line] == [
        line.partition("#")[2] for line in text.splitlines() if "#" in line
    ]


def test_what_people_read_names_the_new_release() -> None:
    old = bump.current(TABLE)
    new = bump.following(old, "31.12.1", TODAY)
    changelog = bump.changelog_of((ROOT / bump.CHANGELOG).read_text("utf-8"), new)
    assert changelog.startswith(
        "# Changelog\n\n## 31.12.1-1 (2027-01-02)\n\nYou get Backend.AI 31.12.1.\n"
    )
    assert f"\n\n## {old.full} (" in changelog
    readme = bump.readme_of((ROOT / bump.README).read_text("utf-8"), old, new)
    assert old.version not in readme
    assert "backendai-31.12.1-1-linux-amd64" in readme


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a table alone."""
    (tmp_path / "packaging").mkdir()
    (tmp_path / bump.TABLE).write_text(TABLE)
    me = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*me, "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_a_failure_leaves_everything_as_it_was(checkout: Path) -> None:
    table, summary = checkout / bump.TABLE, checkout / bump.PREVIOUS
    with pytest.raises(KeyboardInterrupt), bump.kept(checkout):
        table.write_text("half")
        summary.write_text("{}")
        raise KeyboardInterrupt
    assert table.read_text() == TABLE
    assert not summary.exists(), "it was not there"


def test_edits_that_nobody_committed_are_not_lost(checkout: Path) -> None:
    bump.clean(checkout)
    (checkout / bump.TABLE).write_text("mine")
    with pytest.raises(Failure, match=r"not committed: M packaging/release\.toml"):
        bump.clean(checkout)
