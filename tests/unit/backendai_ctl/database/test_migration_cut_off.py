"""What a run finds that was cut off is ended: it is complete, never happened, or is taken back."""

from __future__ import annotations

import fake_database as fake
import pytest
from database_cases import (
    DOWN,
    IN_PART,
    MADE,
    MIGRATED,
    STARTED,
    Case,
    begun,
    cut_off,
    damaged,
    fails,
    has,
    holds,
    reached,
)
from declared import MANAGER
from fake_database import HEAD, Client, World

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending

SETTLED = "lock, note settling, keep it down"
RESTORED = "note restoring, verify, load"
AGAIN = (DOWN, MIGRATED, STARTED)
WORKER = "backendai-ctl-work"
DOUBT = {"rows": "in part", "revision": "b2", "doubt": True}

CUT_OFF = [
    Case(
        "in the midst of a creation",
        (IN_PART, begun("creating")),
        (SETTLED, "clear, note creating, keep it down", MADE, STARTED),
        rows="",
    ),
    Case(
        "before a creation made anything",
        (holds(None, 0, rows="", seeded=False), begun("creating")),
        (SETTLED, "clear, note creating, keep it down", MADE, STARTED),
        rows="",
    ),
    Case(
        "after a creation was complete",
        (lambda world: fake.made(world), begun("creating")),
        (SETTLED, "drop marker, note done", STARTED),
        rows="",
    ),
    Case(
        "before a migration did anything",
        (begun("migrating", "a1"), World.dumped),
        (SETTLED, "drop marker", *AGAIN),
    ),
    Case(
        "before one did anything that does not happen as a whole",
        (begun("migrating", "a1", whole=False), World.dumped),
        (SETTLED, RESTORED, *AGAIN),
    ),
    Case(
        "in the midst of a migration, at another revision",
        (begun("migrating", "a1", whole=False), World.dumped, reached("b2")),
        (SETTLED, RESTORED, *AGAIN),
    ),
    Case(
        "in the midst of a revision",
        (begun("migrating", "a1"), World.dumped, reached("a1", "half")),
        (SETTLED, RESTORED, *AGAIN),
    ),
    Case(
        "after a migration was complete",
        (begun("migrating", "a1"), World.dumped, reached(HEAD)),
        (SETTLED, "drop marker, note done", STARTED),
    ),
    Case(
        "and its program is ended, but the server needs a while",
        (*cut_off(), has(clients=[Client(7, WORKER, lingers=9)])),
        ("lock, end 7, note settling, keep it down", RESTORED, *AGAIN),
    ),
]
LEFT = [
    Case(
        "by a release that went further",
        (begun("migrating", "a1", target="d4"), World.dumped, reached("d4")),
        (SETTLED, "drop marker"),
        revision="d4",
        active=False,
        error="it is newer",
    ),
    Case(
        "on another node, which has the dump",
        (begun("migrating", "a1", node="other", dump="/nowhere/a.dump"), reached("b2", "half")),
        (SETTLED,),
        **DOUBT,
        error="a migration that other began was cut off, and its dump /nowhere/a.dump is not on this",
        hint="^run on other: backendai-ctl db migrate$",
    ),
    Case(
        "and its dump is damaged",
        (*cut_off(), damaged),
        (SETTLED, "note restoring, verify"),
        **DOUBT,
        error="restoring .* failed: not a dump",
        hint="^fix the cause, then run: backendai-ctl db migrate$",
    ),
    Case(
        "and its dump cannot be loaded",
        (*cut_off(), fails("load")),
        (SETTLED, RESTORED),
        **DOUBT,
        error="restoring .* failed: load: broken",
    ),
    Case(
        "and its dump is of another schema",
        (*cut_off(fingerprint="another"),),
        (SETTLED, RESTORED),
        revision="a1",
        active=False,
        error="restored from .*, but its schema differs from before",
        hint="^compare it with the dump before you run",
    ),
    Case(
        "and somebody else is connected",
        (*cut_off(), has(clients=[Client(8)])),
        (SETTLED,),
        **DOUBT,
        error=r"still in use by psql as x \(pid 8\)",
    ),
    Case(
        "and the server does not end its program",
        (*cut_off(), has(clients=[Client(7, WORKER, lingers=1000)])),
        ("lock, end 7, note settling, keep it down",),
        **DOUBT,
        error="the server still works on a migration that was cut off",
        hint="^wait, then run: backendai-ctl db migrate$",
        kind=Pending,
    ),
    Case(
        "and the space is too small to begin anew",
        (*cut_off(), has(size=10**18)),
        (SETTLED, RESTORED),
        revision="a1",
        active=False,
        error="MB are free",
    ),
]


@pytest.fixture
def world(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> World:
    return fake.install(monkeypatch, ctx, MANAGER)


def about(case: Case) -> str:
    return case.about


@pytest.mark.parametrize("case", CUT_OFF, ids=about)
def test_the_next_run_ends_at_the_head(case: Case, world: World) -> None:
    case.check(world)


@pytest.mark.parametrize("case", LEFT, ids=about)
def test_what_cannot_be_ended_is_told_and_the_service_stays_down(case: Case, world: World) -> None:
    case.check(world)
    assert fake.read(world.ready) == ""


def test_a_service_that_a_boot_started_in_between_is_stopped_again(world: World) -> None:
    for change in cut_off():
        change(world)
    world.active = True
    stopped = f"{SETTLED}, systemctl stop"
    Case("", (), (stopped, RESTORED, *AGAIN)).check(world)
