"""Whatever goes wrong at whatever call of a migration, no row is lost and the next run ends at the head."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import fake_database as fake
import pytest
from database_cases import EMPTY, IN_PART, Change, begun, cut_off, holds
from declared import MANAGER
from fake_database import HEAD, OPEN, World

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem

STATES: dict[str, tuple[Change, ...]] = {
    "behind": (holds(), lambda world: world.release(commits=True)),
    "behind, in one transaction": (holds(), lambda world: world.release(commits=False)),
    "empty": (EMPTY,),
    "never seeded": (holds(rows="", seeded=False),),
    "cut off in the midst of a migration": (holds(), *cut_off()),
    "cut off in the midst of a creation": (IN_PART, begun("creating")),
}


def killed(world: World, _call: str) -> str:
    world.dead = True
    return ""


def killed_in_the_midst(world: World, call: str) -> str:
    in_part(world, call)
    return killed(world, call)


def broken(_world: World, call: str) -> str:
    return f"{call}: broken"


def broken_in_the_midst(world: World, call: str) -> str:
    in_part(world, call)
    return broken(world, call)


def server_restarts(world: World, call: str) -> str:
    """It crashes and is there again at once: connections are lost."""
    if call in OF_THE_HOST or call.startswith("note"):
        return ""
    world.started += 1
    return f"{call}: the server closed the connection"


def server_away(world: World, call: str) -> str:
    """It crashes, and does not come back before the next run."""
    world.away = True
    return server_restarts(world, call)


OF_THE_HOST = ("keep it down", "let it start", "systemctl stop", "systemctl start", "verify")


def in_part(world: World, call: str) -> None:
    """What the call changes is changed in part, where that is no transaction: rows alone, too."""
    if call == "upgrade" and world.commits:
        world.content.rows = "in part"
    elif call == "create":
        fake.made(world, None)


Fault = Callable[[World, str], str]
FAULTS: tuple[Fault, ...] = (
    killed,
    killed_in_the_midst,
    broken,
    broken_in_the_midst,
    server_restarts,
    server_away,
)


def at(number: int, fault: Fault) -> Callable[[World, int, str], str]:
    """The fault at the call of this number, and what holds at every instant."""

    def met(world: World, index: int, call: str) -> str:
        never_in_doubt_and_used(world)
        return fault(world, call) if index == number else ""

    return met


def never_in_doubt_and_used(world: World) -> None:
    doubt = world.content.marker
    if doubt:
        assert not world.active and not fake.read(world.ready)
    if doubt and doubt["kind"] == "migrating" and world.content.rows == "in part":
        assert Path(doubt["dump"]).is_file()


def begin(world: World, state: str) -> None:
    """The host as it is before the first run."""
    for path in (*world.ctx.paths.backups.glob("*"), *world.ctx.paths.ctl.glob("*.json")):
        path.unlink()
    fake.write(world.ready, OPEN)
    world.active = True
    for change in STATES[state]:
        change(world)


def met(world: World, number: int, fault: Fault) -> bool:
    """Run until the fault; False if the run has fewer calls."""
    world.fault = at(number, fault)
    with contextlib.suppress(Problem, fake.Killed):
        world.run()
    never_in_doubt_and_used(world)
    return number < len(world.calls)


def ends_well(world: World, rows: str) -> None:
    world.fault = at(-1, broken)
    world.run()
    content = world.content
    assert (content.revision, content.rows, content.half, content.marker) == (HEAD, rows, "", None)
    assert world.active and fake.read(world.ready) == OPEN
    assert not world.record.get("ran") and not world.record.get("mark")
    assert not list(world.ctx.paths.backups.glob("*.partial"))
    world.run()
    assert world.calls == ["lock"]


@pytest.fixture
def world(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power is cut here
    monkeypatch.setattr(fake, "write", lambda path, data, **_: path.write_text(data))
    ctx.paths.ready("").mkdir(parents=True)
    return fake.install(monkeypatch, ctx, MANAGER)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("state", STATES)
def test_one_fault(world: World, state: str, fault: Fault) -> None:
    number, more = 0, True
    while more:
        begin(world, state)
        rows = "" if world.content.rows == "" else "yours"  # those of the dump, where one is named
        more = met(world, number, fault)
        ends_well(world, rows)
        number += 1
    assert number > 10  # it did meet calls
