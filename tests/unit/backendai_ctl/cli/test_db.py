"""`backendai-ctl db` says how databases stand and goes on with the others when one fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backendai_ctl.change import Change
from backendai_ctl.cli import db
from backendai_ctl.context import Context
from backendai_ctl.database.backup import Restored
from backendai_ctl.database.status import Row
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.facts import Database
from backendai_ctl.operations.reconfigure import Report, exclusive, pending_flag
from backendai_ctl.platform import files


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "need_root", lambda: None)


def call(ctx: Context, *words: str) -> Result:
    return CliRunner().invoke(db.command, list(words), obj=ctx)


@pytest.mark.parametrize(
    ("state", "code"), [("head", 0), ("behind", 3), ("empty", 3), ("newer", 1), ("interrupted", 1)]
)
def test_status_fails_unless_all_are_at_the_head(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, state: str, code: int
) -> None:
    rows = [Row("manager", "here", state, "a", "b", size=9_000_000)]
    monkeypatch.setattr(db.states, "rows", lambda _: rows)
    assert call(ctx, "status").exit_code == code
    data = json.loads(call(ctx, "status", "--json").stdout)
    row = data["databases"]["manager"]
    assert (row["state"], row["ok"], data["ok"]) == (state, code == 0, code == 0)


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
    assert (result.exit_code, result.stderr) == (1, "backendai-ctl: no\n")
    assert done == ["coordinator"]
    assert "Nothing to do" not in result.output


def test_a_dry_run_migrates_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "plan", lambda *_: [Change("database", "migrate")])
    monkeypatch.setattr(db, "migrate", lambda *_: pytest.fail("it migrated"))
    result = call(ctx, "migrate", "--dry-run", "--json", "--database", "manager")
    data = json.loads(result.stdout)
    assert data == {
        **{"ok": True, "errors": [], "dry_run": True},
        "databases": {"manager": {"changes": [{"what": "database", "how": "migrate"}]}},
    }


def test_one_file_cannot_hold_both_databases(ctx: Context, tmp_path: Path) -> None:
    result = call(ctx, "backup", "--output", str(tmp_path / "x"))
    assert isinstance(result.exception, BadRequest)


def test_a_dry_run_of_a_backup_says_where_it_would_go(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backup(_ctx: Context, database: Database, _output: None, *, dry_run: bool) -> Path:
        return Path(f"/x/{database.name}") if dry_run else pytest.fail("it dumped")

    monkeypatch.setattr(db.backups, "backup", backup)
    said = call(ctx, "backup", "--dry-run", "--database", "manager").stdout
    assert said == "manager: would be dumped to /x/manager\n"


def test_a_dry_run_of_a_restore_says_what_it_would_do(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(_ctx: Context, _file: Path, *, dry_run: bool, begin: object) -> Restored:
        assert dry_run
        return Restored("manager", "a", True, Path("/x/before"))

    monkeypatch.setattr(db.backups, "restore_file", restore)
    said = call(ctx, "restore", "/x/y", "--dry-run")
    assert "would be dumped to /x/before, then be as in /x/y" in said.stdout, said
    data = json.loads(call(ctx, "restore", "/x/y", "--dry-run", "--json").stdout)
    assert (data["database"], data["revision"], data["file"]) == ("manager", "a", "/x/y")


def changed_by(ctx: Context, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> Result:
    """`db migrate` with a database that is behind; `act` is its migration."""
    monkeypatch.setattr(db, "plan", lambda *_: [Change("database", "migrate")])
    monkeypatch.setattr(db, "migrate", lambda *_: act())
    return call(ctx, "migrate", "--database", "manager")


def test_the_next_boot_finishes_what_is_cut_off(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        assert files.read(pending_flag(ctx)) == ""
        raise KeyboardInterrupt

    changed_by(ctx, monkeypatch, killed)
    assert pending_flag(ctx).exists()


def test_success_takes_the_flag_back(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    changed_by(ctx, monkeypatch, lambda: seen.append(pending_flag(ctx).exists()))
    assert seen == [True]
    assert not pending_flag(ctx).exists()


def test_a_flag_of_packages_stays(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that they make in the place of ours."""

    def renew() -> None:
        time.sleep(0.05)  # longer than the clock of a file system takes to move
        pending_flag(ctx).write_text("")

    changed_by(ctx, monkeypatch, renew)
    assert pending_flag(ctx).exists()
    changed_by(ctx, monkeypatch, lambda: None)
    assert pending_flag(ctx).exists()


def test_nothing_to_do_flags_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "plan", lambda *_: [])
    monkeypatch.setattr(db, "pending_flag", lambda _: Path("/nonexistent/flag"))
    assert call(ctx, "migrate").exit_code == 0


def test_a_restore_flags_before_it_stops_anything(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def restore(
        _ctx: Context, _file: Path, *, dry_run: bool, begin: Callable[[], None]
    ) -> Restored:
        seen.append(pending_flag(ctx).exists())
        begin()
        seen.append(pending_flag(ctx).exists())
        return Restored("manager", "a", True, None)

    monkeypatch.setattr(db.backups, "restore_file", restore)
    assert call(ctx, "restore", "/x/y").exit_code == 0
    assert seen == [False, True]
    assert not pending_flag(ctx).exists()


def restored(
    ctx: Context,
    monkeypatch: pytest.MonkeyPatch,
    report: Report | Problem,
    *words: str,
    at_head: bool = True,
) -> tuple[Result, list[Context]]:
    """`db restore` of the manager's database; `report` is what a run of all steps gives then."""
    runs: list[Context] = []

    def run(ctx: Context) -> Report:
        runs.append(ctx)
        if isinstance(report, Problem):
            raise report
        return report

    done = Restored("manager", "a", at_head, None)
    monkeypatch.setattr(db.backups, "restore_file", lambda *_, **__: done)
    monkeypatch.setattr(db, "reconfigure", run)
    return call(ctx, "restore", "/x/y", *words), runs


NEWER = {"migrate-manager-schema": Outcome("failed", "it is newer", "restore this dump")}
FINE = {"migrate-manager-schema": Outcome("same")}


def test_a_restore_of_a_host_that_nobody_configured_starts_nothing(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, runs = restored(ctx, monkeypatch, Report("done", FINE))
    assert (said.exit_code, runs) == (0, [])


def test_a_restore_ends_with_the_service_that_could_not_run_before(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(ctx.paths.ctl).finish(NEWER)
    said, runs = restored(ctx, monkeypatch, Report("done", FINE))
    assert (said.exit_code, len(runs), "its services run" in said.stdout) == (0, 1, True)
    Journal(ctx.paths.ctl).finish(FINE)
    ctx.paths.ready("manager").parent.mkdir(parents=True)
    ctx.paths.ready("manager").write_text("")  # what a new version of the package does
    assert len(restored(ctx, monkeypatch, Report("done", FINE))[1]) == 1
    ctx.paths.ready("manager").write_text("started with this")
    assert restored(ctx, monkeypatch, Report("done", FINE))[1] == []


def test_what_is_not_done_after_a_restore_is_told(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(ctx.paths.ctl).finish(NEWER)
    other = {"migrate-coordinator-schema": Outcome("failed", "newer, too", "restore that dump")}
    said, _ = restored(ctx, monkeypatch, Report("failed", {**FINE, **other}))
    assert said.exit_code == 0  # the manager runs
    assert "migrate-coordinator-schema: newer, too" in said.stderr
    said, _ = restored(ctx, monkeypatch, Report("failed", NEWER))
    assert said.exit_code == 1
    assert "hint: restore this dump" in said.stderr


@pytest.mark.parametrize(
    ("report", "status", "message"),
    [
        (Report("failed", NEWER), 1, "not done yet: migrate-manager-schema: it is newer"),
        (
            Report("pending", {"migrate-manager-schema": Outcome("pending", "no server", "x")}),
            *(3, "not done yet: migrate-manager-schema: no server"),
        ),
        (Pending("another run"), 3, "another run"),
    ],
)
def test_a_program_is_told_of_the_restore_and_of_what_is_not_done(
    ctx: Context,
    monkeypatch: pytest.MonkeyPatch,
    report: Report | Problem,
    status: int,
    message: str,
) -> None:
    Journal(ctx.paths.ctl).finish(NEWER)
    said, _ = restored(ctx, monkeypatch, report, "--json")
    data = json.loads(said.stdout)
    assert (said.exit_code, data["ok"], data["errors"][0]["message"]) == (status, False, message)
    assert (data["database"], data["dry_run"]) == ("manager", False)
    said, _ = restored(ctx, monkeypatch, report)
    assert said.stdout.startswith("manager: is at revision a\n") and message in said.stderr


def test_status_leads_on_after_a_restore_of_an_older_schema(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(ctx.paths.ctl).finish(NEWER)
    said, runs = restored(ctx, monkeypatch, Report("done"), at_head=False)
    assert (said.exit_code, runs) == (0, [])
    row = Journal(ctx.paths.ctl).last()["steps"]["migrate-manager-schema"]
    assert (row["state"], row["hint"]) == ("pending", "run: backendai-ctl db migrate")


@pytest.mark.parametrize("words", [("migrate",), ("restore", "/x/y")])
def test_one_run_at_a_time_on_a_host(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(db, "plan", lambda *_: pytest.fail("it went on"))
    with exclusive(ctx):
        refused = call(ctx, *words)
    assert isinstance(refused.exception, Pending)
    assert "another backendai-ctl is at work" in str(refused.exception)


def test_a_dry_run_waits_for_nobody(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "plan", lambda *_: [])
    with exclusive(ctx):
        assert call(ctx, "migrate", "--dry-run").exit_code == 0
