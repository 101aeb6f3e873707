"""The move: nothing stops before all was looked at, a failure takes all back, a rerun finishes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.moving import debian, move, record, services
from backendai_ctl.moving.evidence import Former, find
from backendai_ctl.platform import systemd
from backendai_ctl.services import serving
from backendai_ctl.site.schema import Cache, Site
from backendai_ctl.steps.move_servers import MoveServers

STEP = MoveServers()

NAMES = ("postgresql", "valkey", "etcd")


class World:
    """Three servers of Debian's; what is done to them is in `log`. `broken`: calls that fail."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.broken: set[str] = set()
        self.foreign: dict[str, str] = {}
        self.gone: set[str] = set()

    def act(self, what: str, name: str) -> str:
        self.log.append(f"{what} {name}")
        if f"{what} {name}" in self.broken:
            raise Problem(f"{what} {name} failed", hint="mend it")
        return ""

    def kind(self, name: str) -> Any:
        def others(_ctx: Context, _former: Former) -> str:
            return self.foreign.get(name, "")

        calls = {
            verb: (lambda _ctx, _former, verb=verb: self.act(verb, name) or verb)
            for verb in ("check", "ready", "copy")
        }
        return SimpleNamespace(
            **calls, others=others, retire=lambda _c, _f, _alive: self.act("retire", name)
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def awake(former: Former) -> None:
        if former.name in made.gone:
            raise Problem("is not installed any more", hint="apt install")

    monkeypatch.setattr(move, "_KINDS", {name: made.kind(name) for name in NAMES})
    monkeypatch.setattr(debian, "awake", awake)
    monkeypatch.setattr(debian, "answers", lambda _former: True)
    monkeypatch.setattr(services, "stop", lambda ctx, _names: _stop(made, ctx))
    monkeypatch.setattr(services, "start", lambda _ctx, _old: made.log.append("start services"))
    monkeypatch.setattr(serving, "stop", lambda _ctx, name: made.log.append(f"stop our {name}"))
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "forget_failures", lambda _units: None)
    return made


def _stop(made: World, ctx: Context) -> None:
    record.note(ctx, state=record.MOVING)
    made.log.append("stop services")


def test_services_stop_once_all_was_looked_at_and_our_servers_run(
    earlier: Context, world: World
) -> None:
    assert len(STEP.check(earlier)) == 3
    STEP.apply(earlier)
    assert world.log == [
        *(f"check {name}" for name in NAMES),
        *(f"ready {name}" for name in NAMES),
        "stop services",
        *(f"copy {name}" for name in NAMES),
        *(f"retire {name}" for name in NAMES),
    ]
    assert record.read(earlier).state == record.DONE
    assert STEP.check(earlier) == []


@pytest.mark.parametrize("verb", ["check", "ready", "copy"])
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_stops_no_old_server_and_starts_the_services(
    earlier: Context, world: World, verb: str, name: str
) -> None:
    world.broken = {f"{verb} {name}"}
    with pytest.raises(Problem, match="failed"):
        STEP.apply(earlier)
    assert not any(line.startswith("retire") for line in world.log)
    assert world.log[-1] == "start services"
    assert "stop services" in world.log or verb != "copy"
    assert find(earlier) != []
    world.log, world.broken = [], set()
    STEP.apply(earlier)
    assert record.read(earlier).state == record.DONE
    assert [line for line in world.log if line.startswith("copy")] == [f"copy {n}" for n in NAMES]


def test_what_was_checked_is_not_copied_again(earlier: Context, world: World) -> None:
    """Services may have written to our servers since."""
    servers = {former.name: former.address for former in find(earlier)}
    record.note(earlier, state=record.MOVED, servers=servers)  # as a kill leaves it
    STEP.apply(earlier)
    assert world.log == [f"retire {name}" for name in NAMES]
    assert record.read(earlier).state == record.DONE


def test_an_old_server_that_does_not_stop_keeps_nobody_waiting(
    earlier: Context, world: World
) -> None:
    world.broken = {"retire valkey"}
    STEP.apply(earlier)
    assert record.read(earlier).state == record.DONE
    assert record.read(earlier).kept == {"valkey": "retire valkey failed"}
    assert world.log[-1] == "retire etcd"


def test_a_server_with_things_of_others_goes_on_and_that_is_said(
    earlier: Context, world: World
) -> None:
    world.foreign = {"postgresql": "it has other databases: shop"}
    STEP.apply(earlier)
    assert "retire postgresql" not in world.log and "retire valkey" in world.log
    assert record.read(earlier).kept == world.foreign


def test_a_server_that_is_gone_is_a_problem_for_ever_and_not_an_empty_site(
    earlier: Context, world: World
) -> None:
    world.gone = {"postgresql"}
    for _ in range(2):
        assert len(STEP.check(earlier)) == 3
        with pytest.raises(Problem, match="not installed any more"):
            STEP.apply(earlier)
    assert not any(line.startswith(("ready", "stop services")) for line in world.log)


def test_a_port_in_the_site_file_that_is_the_old_servers_is_refused(
    earlier: Context, world: World
) -> None:
    here = Context(earlier.facts, Site(cache=Cache(port=6379)))
    with pytest.raises(Problem, match=r"\[cache\] port") as refused:
        STEP.apply(here)
    assert "take that line out" in refused.value.hint
    assert "ready valkey" not in world.log


def test_everything_that_starts_a_server_or_tells_of_it_waits_for_the_move(facts: Facts) -> None:
    from backendai_ctl.steps.plan import steps

    needs = {step.name: step.needs for step in steps(facts)}
    for name in ("prepare-database", "prepare-cache", "prepare-etcd", "render-configs"):
        assert STEP.name in needs[name]
