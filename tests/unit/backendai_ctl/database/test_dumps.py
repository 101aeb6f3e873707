"""Dumps have telling names, fit on the disk, and old ones go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.database import dumps
from backendai_ctl.errors import Problem
from backendai_ctl.site.schema import Database, Site

NEWEST = "a-to-b-manager-20260104T000000Z.dump"


def put(ctx: Context, *names: str) -> None:
    ctx.paths.backups.mkdir(parents=True, exist_ok=True)
    for name in names:
        (ctx.paths.backups / name).touch()


def test_a_name_tells_where_the_dump_belongs(ctx: Context) -> None:
    path = dumps.path(ctx, "manager", "b93d", "d111")
    put(ctx, path.name, dumps.path(ctx, "manager", "d111", None).name, "notes.dump")
    found = dumps.found(ctx, "manager")
    assert {(dump.revision, dump.before) for dump in found} == {("b93d", "d111"), ("d111", None)}
    assert dumps.found(ctx, "coordinator") == []


def test_dumps_of_the_same_second_have_names_of_their_own(ctx: Context) -> None:
    names = []
    for _ in range(3):
        names.append(dumps.path(ctx, "manager", "d111", None).name)
        put(ctx, names[-1])
    assert len(set(names)) == 3
    assert names == sorted(names)
    assert {dump.path.name for dump in dumps.found(ctx, "manager")} == set(names)


def test_the_way_back_is_the_newest_dump_before_a_revision(ctx: Context) -> None:
    put(
        ctx,
        "a-to-b-manager-20260101T000000Z.dump",
        "a-to-b-manager-20260301T000000Z.dump",
        "b-to-c-manager-20260401T000000Z.dump",
        "a-to-b-coordinator-20260501T000000Z.dump",
    )
    way = dumps.way_back(ctx, "manager", "b")
    assert way and way.path.name == "a-to-b-manager-20260301T000000Z.dump"
    assert dumps.way_back(ctx, "manager", "x") is None


def test_the_oldest_dumps_go_but_never_backups_or_other_databases(ctx: Context) -> None:
    site = Site(database=Database(keep_dumps=2))
    put(ctx, *(f"a-to-b-manager-2026010{n}T000000Z.dump" for n in range(1, 5)))
    put(
        ctx,
        "a-manager-20250101T000000Z.dump",
        "a-to-b-coordinator-20250101T000000Z.dump",
    )
    dumps.prune(Context(ctx.facts, site), "manager", ctx.paths.backups / NEWEST)
    assert sorted(path.name for path in ctx.paths.backups.iterdir()) == [
        "a-manager-20250101T000000Z.dump",
        "a-to-b-coordinator-20250101T000000Z.dump",
        "a-to-b-manager-20260103T000000Z.dump",
        NEWEST,
    ]


def test_the_dump_just_made_stays_though_the_clock_went_back(ctx: Context) -> None:
    site = Site(database=Database(keep_dumps=1))
    put(ctx, "a-to-b-manager-20260101T000000Z.dump", NEWEST)
    made = ctx.paths.backups / "a-to-b-manager-20260101T000000Z.dump"
    dumps.prune(Context(ctx.facts, site), "manager", made)
    assert list(ctx.paths.backups.iterdir()) == [made]


def test_half_dumps_of_a_database_go_and_nothing_else(ctx: Context) -> None:
    put(ctx, NEWEST, f"{NEWEST}.partial", "a-coordinator-20260101T000000Z.dump.partial")
    dumps.sweep(ctx, "manager")
    assert sorted(path.name for path in ctx.paths.backups.iterdir()) == [
        "a-coordinator-20260101T000000Z.dump.partial",
        NEWEST,
    ]


def test_the_name_of_one_database_may_end_as_that_of_another(ctx: Context) -> None:
    other = "a-to-b-account-manager-20260101T000000Z.dump"
    put(ctx, NEWEST, other, f"{other}.partial")
    assert [dump.path.name for dump in dumps.found(ctx, "account-manager")] == [other]
    assert [dump.path.name for dump in dumps.found(ctx, "manager")] == [NEWEST]
    dumps.sweep(ctx, "manager")
    assert (ctx.paths.backups / f"{other}.partial").exists()


def test_space_is_checked_where_the_folder_will_be(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    dumps.check_space(tmp_path / "not/yet", 1000)
    with pytest.raises(Problem, match="MB are free"):
        dumps.check_space(tmp_path / "not/yet", free)
