"""start, stop and restart: what they call systemd for, and what they leave to the host."""

from __future__ import annotations

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.operations import units
from backendai_ctl.platform import systemd
from backendai_ctl.topology import container_engine


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "forget_failures", lambda names: made.append("forget"))
    monkeypatch.setattr(systemd, "enabled", lambda _unit: True)
    monkeypatch.setattr(systemd, "not_active", lambda _units: [])
    monkeypatch.setattr(systemd, "states", lambda units: dict.fromkeys(units, "inactive"))
    monkeypatch.setattr(systemd, "systemctl", lambda *words, timeout: made.append(" ".join(words)))
    return made


def test_all_that_is_enabled_is_started_by_the_target(ctx: Context, calls: list[str]) -> None:
    assert units.act(ctx, "start", (), dry_run=False) == ["backendai.target"]
    assert calls == ["forget", "start backendai.target"]


@pytest.mark.parametrize(("word", "first"), [("stop", ["backendai.target"]), ("restart", [])])
def test_all_that_runs_is_stopped_or_restarted_and_waited_for(
    ctx: Context, calls: list[str], word: str, first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = "backendai-valkey.service"  # it fails and starts again
    running = {"backendai-agent.service", crashing}
    active = {*running, "backendai-nft.service"}  # keeps sessions apart, which go on

    def state(unit: str) -> str:
        if any(call.startswith("stop") for call in calls):
            return "inactive"
        return "activating" if unit == crashing else "active" if unit in active else "inactive"

    monkeypatch.setattr(systemd, "states", lambda units: {unit: state(unit) for unit in units})
    found = units.act(ctx, word, (), dry_run=False)
    assert set(found) == {*first, *running} and found[: len(first)] == first
    assert calls[-1] == f"{word} {' '.join(found)}"


def test_what_somebody_started_meanwhile_is_stopped_once_more(
    ctx: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = "backendai-agent.service"
    states = iter(["activating", "inactive"])
    monkeypatch.setattr(systemd, "states", lambda units: dict.fromkeys(units, next(states)))
    units.act(ctx, "stop", ["agent"], dry_run=False)
    assert calls == [f"stop {agent}"] * 2


def test_what_goes_on_is_not_said_to_be_stopped(
    ctx: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "states", lambda units: dict.fromkeys(units, "activating"))
    with pytest.raises(Problem, match=r"not stopped: backendai-agent\.service"):
        units.act(ctx, "stop", ["agent"], dry_run=False)


def test_where_nothing_runs_there_is_nothing_to_restart(
    ctx: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemctl without names means all units of the host."""
    monkeypatch.setattr(systemd, "states", lambda units: dict.fromkeys(units, "inactive"))
    with pytest.raises(Pending, match="no service of this host runs"):
        units.act(ctx, "restart", (), dry_run=False)
    assert calls == []


@pytest.mark.parametrize("names", [(), ("manager",)])
def test_what_did_not_start_is_not_said_to_run(
    ctx: Context, calls: list[str], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd skips a unit whose conditions do not hold, and says that all is well."""
    down = ["backendai-manager.service"]
    monkeypatch.setattr(systemd, "not_active", lambda asked: [u for u in asked if u in down])
    with pytest.raises(Problem, match=r"not running: backendai-manager\.service"):
        units.act(ctx, "start", names, dry_run=False)


@pytest.mark.parametrize("name", ["manager", "backendai-manager", "backendai-manager.service"])
def test_a_component_goes_by_its_name(ctx: Context, calls: list[str], name: str) -> None:
    units.act(ctx, "stop", [name, "valkey"], dry_run=False)
    assert calls == ["stop backendai-manager.service backendai-valkey.service"]


def test_a_dry_run_calls_nobody(ctx: Context, calls: list[str]) -> None:
    assert units.act(ctx, "restart", ["agent"], dry_run=True) == ["backendai-agent.service"]
    assert calls == []


def test_an_unknown_name_is_refused_with_a_near_one(ctx: Context, calls: list[str]) -> None:
    with pytest.raises(BadRequest, match="no component 'managr'") as caught:
        units.act(ctx, "start", ["managr"], dry_run=False)
    assert caught.value.hint == "did you mean manager?" and calls == []


def test_a_docker_of_the_host_is_left_to_it(
    ctx: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_engine, "of", container_engine.host)
    with pytest.raises(BadRequest, match="this host's own") as caught:
        units.act(ctx, "restart", ["docker"], dry_run=False)
    assert caught.value.hint == "if you mean it: systemctl restart docker.service" and calls == []


def test_without_systemd_nothing_is_said_to_be_done(
    ctx: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: False)
    with pytest.raises(Pending, match="no systemd"):
        units.act(ctx, "start", (), dry_run=False)
