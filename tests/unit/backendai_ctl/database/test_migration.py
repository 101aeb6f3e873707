"""The migration contract, state by state: what is done in which order, what is refused, what is left."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import fake_database as fake
import pytest
from database_cases import (
    BEGUN,
    DOWN,
    DUMPED,
    EMPTY,
    FAILED,
    HALF,
    MADE,
    MIGRATED,
    STARTED,
    STOPPED,
    Case,
    down,
    dump,
    fails,
    has,
    holds,
    meanwhile,
    note,
    reached,
)
from declared import COORDINATOR, MANAGER
from fake_database import HEAD, Client, World

from backendai_ctl.context import Context
from backendai_ctl.database.migration import LOCK_WAIT
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.site.schema import Database, Site

CREATED = STOPPED.replace("stopping", "creating")
STATES = [
    Case("at the head", (holds(HEAD),), ("lock",)),
    Case(
        "at the head, and a failure is not forgotten",
        (holds(HEAD), note(state="failed", why="it was full")),
        ("lock",),
        why="it was full",
    ),
    Case(
        "at the head, but the record does not say so yet",
        (down, holds(HEAD)),
        ("lock, note done", STARTED),
    ),
    Case("behind", (), ("lock", STOPPED, MIGRATED, STARTED)),
    Case(
        "behind, and its service does not run",
        (has(active=False),),
        ("lock", DOWN, MIGRATED, "let it start, note done"),
        active=False,
    ),
    Case(
        "behind, its service stopped by a run that was cut off",
        (down,),
        ("lock", DOWN, MIGRATED, STARTED),
    ),
    Case(
        "behind, and the upgrade grumbles but ends at the head",
        (fails("upgrade", after=reached(HEAD)),),
        ("lock", STOPPED, MIGRATED, STARTED),
    ),
    Case("empty", (EMPTY,), ("lock", CREATED, MADE, STARTED), rows=""),
    Case(
        "empty, and the creation grumbles but ends at the head",
        (EMPTY, fails("create", after=lambda world: fake.made(world))),
        ("lock", CREATED, MADE, STARTED),
        rows="",
    ),
    Case(
        "without the first rows that upstream's migrations need",
        (holds(rows="", seeded=False),),
        ("lock", STOPPED, DUMPED, "clear, note creating, keep it down", MADE, STARTED),
        rows="",
    ),
    Case(
        "the lock is held for a while",
        (has(taken=LOCK_WAIT - 1),),
        ("lock", STOPPED, MIGRATED, STARTED),
    ),
    Case(
        "a program of a run that was killed still works on it, and others leave",
        (has(clients=[Client(7, "backendai-ctl-work"), Client(8, stays=2)]),),
        ("lock, end 7", STOPPED, MIGRATED, STARTED),
    ),
]
REFUSED = [
    Case(
        "newer",
        (holds("d4"),),
        ("lock",),
        revision="d4",
        error=r"is at revision d4, which Backend.AI 26.9.6 \(revision c3\) does not know: it is newer",
        hint="^install the newer packages again$",
    ),
    Case(
        "newer, with a dump from before",
        (holds("d4"), dump("c3-to-d4-manager-20260101T000000Z.dump")),
        ("lock",),
        revision="d4",
        error="it is newer",
        hint="again, or go back, .* db restore .*/c3-to-d4-manager-20260101T000000Z.dump$",
    ),
    Case(
        "with tables of others",
        (holds(None, 3),),
        ("lock",),
        revision=None,
        error="has 3 tables but no schema revision",
        hint="name an empty database",
    ),
    Case(
        "the lock is held too long",
        (has(taken=LOCK_WAIT + 1),),
        (),
        revision="a1",
        error="another migration is going on",
        hint="^wait, then run: backendai-ctl db migrate$",
        kind=Pending,
    ),
    Case(
        "the space is too small",
        (has(size=10**18),),
        ("lock",),
        revision="a1",
        error="MB are free, a dump may need",
        hint="^free some space in .*, then run: backendai-ctl db migrate$",
    ),
    Case(
        "the space is too small for one without first rows",
        (holds(seeded=False), has(size=10**18)),
        ("lock",),
        revision="a1",
        error="MB are free, a dump may need",
    ),
    Case(
        "pg_dump is older than the server",
        (has(pg_dump=16),),
        ("lock",),
        revision="a1",
        error="^pg_dump is of version 16, the server of 17",
        hint="programs of version 17$",
    ),
]
TAKEN_BACK = [
    Case(
        "the service cannot be stopped",
        (fails("systemctl stop"),),
        ("lock", STOPPED, "lock", FAILED),
        revision="a1",
        error="^systemctl stop: broken$",
        why="^systemctl stop: broken$",
    ),
    Case(
        "somebody stays connected",
        (has(clients=[Client(8)]),),
        ("lock", STOPPED, "lock", FAILED),
        revision="a1",
        error=r"still in use by psql as x \(pid 8\)",
        hint="^stop them, on every node, then run: backendai-ctl db migrate$",
        why="still in use",
    ),
    Case(
        "somebody comes while it is dumped, and stays",
        (meanwhile("dump", has(clients=[Client(8)])),),
        ("lock", STOPPED, DUMPED, "lock", FAILED),
        revision="a1",
        error="still in use",
    ),
    Case(
        "the dump fails",
        (fails("dump"),),
        ("lock", STOPPED, "note dumping, dump, lock", FAILED),
        revision="a1",
        error="the dump of database .* failed: dump: broken",
        why="dump: broken",
    ),
    Case(
        "the dump cannot be read",
        (fails("verify"),),
        ("lock", STOPPED, DUMPED, "lock", FAILED),
        revision="a1",
        error="the dump of database .* failed: verify: broken",
        why="verify: broken",
    ),
    Case(
        "the upgrade fails and did nothing",
        (fails("upgrade"),),
        ("lock", STOPPED, DUMPED, BEGUN, "lock, drop marker", FAILED),
        revision="a1",
        error="at revision a1, not c3: x.SomeError: upgrade: broken",
        hint="^fix the cause, then run: backendai-ctl db migrate$",
        why="not c3",
    ),
    Case(
        "the upgrade fails half-way",
        (fails("upgrade", after=HALF),),
        ("lock", STOPPED, DUMPED, BEGUN, "lock, note restoring, verify, load", FAILED),
        revision="a1",
        error="at revision b2, not c3: x.SomeError: upgrade: broken",
        why="not c3",
    ),
    Case(
        "the server crashes in the upgrade, and is there again",
        (fails("upgrade", after=has(started=1)),),
        ("lock", STOPPED, DUMPED, BEGUN, "lock, drop marker", FAILED),
        revision="a1",
        error="the server does not answer",
        kind=Pending,
    ),
    Case(
        "the upgrade fails half-way, and the record cannot be written",
        (fails("upgrade", after=HALF), fails("note restoring")),
        ("lock", STOPPED, DUMPED, BEGUN, "lock, note restoring, verify, load", FAILED),
        revision="a1",
        error="at revision b2, not c3",
    ),
    Case(
        "the upgrade fails half-way, and the restore as well",
        (fails("upgrade", after=HALF), fails("load")),
        ("lock", STOPPED, DUMPED, BEGUN, "lock, note restoring, verify, load, note restoring"),
        rows="in part",
        revision="b2",
        doubt=True,
        error="at revision b2, not c3",
        why="not c3: .*; taking it back: .* restoring .* failed: load: broken",
    ),
    Case(
        "the creation fails half-way",
        (EMPTY, fails("create", after=lambda world: fake.made(world, None))),
        ("lock", CREATED, "marker creating, create, lock, clear", FAILED),
        rows="",
        revision=None,
        error="at revision None, not c3: x.SomeError: create: broken",
        why="not c3",
    ),
    Case(
        "without first rows, and somebody stays connected",
        (holds(rows="", seeded=False), has(clients=[Client(8)])),
        ("lock", STOPPED, "lock", FAILED),
        rows="",
        revision="a1",
        error="still in use",
        why="still in use",
    ),
    Case(
        "without first rows, and the dump fails",
        (holds(rows="", seeded=False), fails("dump")),
        ("lock", STOPPED, "note dumping, dump, lock", FAILED),
        rows="",
        revision="a1",
        error="the dump of database .* failed",
        why="dump: broken",
    ),
]


@pytest.fixture
def world(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> World:
    return fake.install(monkeypatch, ctx, MANAGER)


def about(case: Case) -> str:
    return case.about


@pytest.mark.parametrize("case", STATES, ids=about)
def test_a_run_ends_at_the_head(case: Case, world: World) -> None:
    case.check(world)


@pytest.mark.parametrize("case", REFUSED, ids=about)
def test_what_cannot_be_is_refused_before_anything_is_touched(case: Case, world: World) -> None:
    case.check(world)
    assert fake.read(world.ready) == fake.OPEN


@pytest.mark.parametrize("case", TAKEN_BACK, ids=about)
def test_what_fails_is_taken_back(case: Case, world: World) -> None:
    case.check(world)


def test_a_second_run_does_nothing(world: World) -> None:
    world.run()
    dumps = sorted(world.ctx.paths.backups.iterdir())
    world.run()
    assert world.calls == ["lock"]
    assert sorted(world.ctx.paths.backups.iterdir()) == dumps


def test_a_dump_has_what_was_there(world: World) -> None:
    before = asdict(world.content)
    world.run()
    [dump] = world.ctx.paths.backups.iterdir()
    assert json.loads(dump.read_text()) == before
    assert dump.name.startswith("a1-to-c3-manager-") and str(dump) == world.record["dump"]


def test_the_coordinators_database_needs_no_first_rows(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = fake.install(monkeypatch, ctx, COORDINATOR)
    Case("", (holds(seeded=False),), ("lock", STOPPED, MIGRATED, STARTED)).check(world)
    world.content, world.calls = fake.Content(None, 0, ""), []
    Case("", (), ("lock", CREATED, MADE, STARTED), rows="").check(world)


def test_whoever_has_the_lock_finds_no_half_dump(world: World) -> None:
    half = world.ctx.paths.backups / "a-to-b-manager-20260101T000000Z.dump.partial"
    dump(half.name)(world)
    meanwhile("lock", lambda _: half.stat())(world)  # not before it has the lock
    world.run()
    assert not half.exists()


def test_every_dump_makes_old_ones_go(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only those of migrations that succeed."""
    few = Context(ctx.facts, Site(database=Database(keep_dumps=2)))
    world = fake.install(monkeypatch, few, MANAGER)
    old = [f"a-to-b-manager-2026010{n}T000000Z.dump" for n in range(1, 4)]
    for name in old:
        dump(name)(world)
    fails("upgrade")(world)
    with pytest.raises(Problem):
        world.run()
    kept = [path.name for path in sorted(ctx.paths.backups.iterdir())]
    assert kept == [old[-1], Path(world.record["dump"]).name]
