"""Words for tables of what a migration does: states that it meets, and faults on its way."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fake_database as fake
import pytest
from fake_database import HEAD, Content, World

from backendai_ctl.errors import Problem

Change = Callable[[World], object]

# Calls in their order, see fake_database.
DOWN = "note stopping, keep it down"
STOPPED = f"{DOWN}, systemctl stop"
DUMPED = "note dumping, dump, verify"
BEGUN = "marker migrating, note migrating, upgrade"
ENDED = "drop marker, note done"
STARTED = "let it start, systemctl start, note done"
MIGRATED = f"{DUMPED}, {BEGUN}, {ENDED}"
MADE = f"marker creating, create, {ENDED}"
FAILED = "note failed, let it start, systemctl start, note failed"


@dataclass(frozen=True)
class Case:
    """A state that a run meets, and what comes of it.

    `calls`: repeated ones once. `rows`, `revision`: what is in the database then. `doubt`: its marker
    is left, and the service down. `active`: whether the service runs then, if there is no doubt.
    `error`, `hint`: patterns. `why`: the same for the record of what failed.
    """

    about: str
    state: tuple[Change, ...]
    calls: tuple[str, ...]
    rows: str = "yours"
    revision: str | None = HEAD
    active: bool = True
    doubt: bool = False
    error: str = ""
    hint: str = ""
    kind: type[Problem] = Problem
    why: str = ""

    def check(self, world: World) -> None:
        for change in self.state:
            change(world)
        if self.error:
            with pytest.raises(Problem) as caught:
                world.run()
            assert type(caught.value) is self.kind
            assert re.search(self.error, caught.value.message)
            assert re.search(self.hint, caught.value.hint)
        else:
            state = world.run()
            assert (state.kind, state.found.revision) == ("head", HEAD)
        assert did(world) == ", ".join(self.calls)
        assert (world.content.rows, world.content.revision) == (self.rows, self.revision)
        assert bool(world.content.marker) == self.doubt
        assert world.active == (self.active and not self.doubt)
        assert re.search(self.why, world.record.get("why", ""))


def did(world: World) -> str:
    return ", ".join(call for call, _ in itertools.groupby(world.calls))


def has(**changes: object) -> Change:
    return lambda world: [setattr(world, name, value) for name, value in changes.items()]


def holds(revision: str | None = "a1", tables: int = 70, **changes: object) -> Change:
    """The database has this in it."""
    return lambda world: setattr(world, "content", Content(revision, tables, **changes))  # type: ignore


EMPTY = holds(None, 0, rows="", seeded=False)
IN_PART = holds(None, 3, rows="", seeded=False)


def note(**record: object) -> Change:
    """The record says this."""

    def change(world: World) -> None:
        path = world.ctx.paths.ctl / f"migration-{world.database.name}.json"
        fake.write(path, json.dumps(record))

    return change


def down(world: World) -> None:
    """A run that was cut off had stopped the service."""
    world.active = False
    fake.write(world.ready, "")
    note(state="migrating", ran=True, mark=fake.OPEN)(world)


def begun(kind: str, origin: str = "", **marker: object) -> Change:
    """A run was cut off after it put its marker."""

    def change(world: World) -> None:
        world.put_marker(kind, origin, **marker)
        down(world)

    return change


def reached(revision: str, half: str = "") -> Change:
    return lambda world: fake.step(world, revision, half)


HALF = reached("b2", "half")


def cut_off(**marker: object) -> tuple[Change, ...]:
    """A run was cut off in the midst of its migration, with its dump on this host."""
    return begun("migrating", "a1", **marker), World.dumped, HALF


def dump(name: str) -> Change:
    """There is such a file among the dumps."""

    def change(world: World) -> None:
        path = world.ctx.paths.backups / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    return change


def fails(call: str, *, after: Change = lambda _: None, why: str = "broken") -> Change:
    """Such a call fails the first time, and leaves what `after` makes of the world."""

    def change(world: World) -> None:
        earlier = world.fault

        def fault(world: World, index: int, called: str) -> str | None:
            if called != call or call in world.calls[:index]:
                return earlier(world, index, called)
            after(world)
            return f"{call}: {why}" if why else None

        world.fault = fault

    return change


def meanwhile(call: str, change: Change) -> Change:
    """This comes while such a call is under way."""
    return fails(call, after=change, why="")


def damaged(world: World) -> None:
    """The dump that the marker names is damaged."""
    assert world.content.marker
    Path(world.content.marker["dump"]).write_text("x")
