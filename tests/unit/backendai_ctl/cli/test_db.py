"""`backendai-ctl db` says how databases stand and goes on with the others when one fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backendai_ctl.cli import db
from backendai_ctl.context import Context
from backendai_ctl.database.databases import Database
from backendai_ctl.database.status import Row
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.steps.base import Change


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "need_root", lambda: None)


def call(ctx: Context, *words: str) -> Result:
    return CliRunner().invoke(db.command, list(words), obj=ctx)


@pytest.mark.parametrize(
    ("state", "code"), [("head", 0), ("behind", 1), ("newer", 1), ("interrupted", 1)]
)
def test_status_fails_unless_all_are_at_the_head(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, state: str, code: int
) -> None:
    rows = [Row("manager", "here", state, "a", "b", size=9_000_000)]
    monkeypatch.setattr(db.states, "rows", lambda _: rows)
    assert call(ctx, "status").exit_code == code
    assert json.loads(call(ctx, "status", "--json").stdout)["manager"]["state"] == state


def test_one_failure_does_not_keep_the_other_from_its_migration(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def migrate(_ctx: Context, database: Database) -> None:
        if database.name == "manager":
            raise Problem("no")
        done.append(database.name)

    monkeypatch.setattr(db, "plan", lambda *_: [Change("database", "migrate")])
    monkeypatch.setattr(db, "migrate", migrate)
    result = call(ctx, "migrate")
    assert isinstance(result.exception, Problem)
    assert done == ["coordinator"]
    assert "Nothing to do" not in result.output


def test_a_dry_run_migrates_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "plan", lambda *_: [Change("database", "migrate")])
    monkeypatch.setattr(db, "migrate", lambda *_: pytest.fail("it migrated"))
    result = call(ctx, "migrate", "--dry-run", "--json", "--database", "manager")
    data = json.loads(result.stdout)
    assert data == {
        "dry_run": True,
        "databases": {"manager": [{"what": "database", "how": "migrate"}]},
    }


def test_one_file_cannot_hold_both_databases(ctx: Context, tmp_path: Path) -> None:
    result = call(ctx, "backup", "--output", str(tmp_path / "x"))
    assert isinstance(result.exception, BadRequest)
