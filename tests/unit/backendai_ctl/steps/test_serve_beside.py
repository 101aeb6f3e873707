"""Servers that the site does without run where their packages are, and keep nothing from starting."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_systemd import FakeSystemd, install

from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.engine.journal import Outcome
from backendai_ctl.errors import Problem
from backendai_ctl.operations.reconfigure import ready as services_ready
from backendai_ctl.services import serving
from backendai_ctl.steps import serve_beside

STEP = serve_beside.ServeBeside()
ALL = ("node-exporter", "prometheus", "registry")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    return install(monkeypatch, tmp_path / "system")


def started(host: FakeSystemd) -> list[str]:
    return [unit for unit, state in host.active.items() if state == "active"]


def test_each_that_is_installed_starts_and_a_second_run_does_nothing(
    ready: Context, host: FakeSystemd
) -> None:
    (ready.paths.units / "backendai-registry.service").unlink()
    assert STEP.check(ready)
    STEP.apply(ready)
    assert started(host) == ["backendai-node-exporter.service", "backendai-prometheus.service"]
    assert STEP.check(ready) == []
    made = {path.name for path in ready.paths.config.iterdir()}
    assert {"prometheus.json", "prometheus.flags", "node-exporter.flags"} <= made
    assert "registry.json" not in made


def test_it_is_a_step_of_every_host(ready: Context) -> None:
    for path in ready.paths.units.iterdir():
        path.unlink()
    assert runner.concerned(STEP, ready) and STEP.check(ready) == []


def test_one_that_does_not_start_keeps_neither_the_others_nor_a_service(
    ready: Context, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = serving.run

    def broken(ctx: Context, name: str) -> None:
        if name == "node-exporter":
            raise Problem("it is broken")
        run(ctx, name)

    monkeypatch.setattr(serving, "run", broken)
    with pytest.raises(Problem, match="it is broken"):
        STEP.apply(ready)
    assert started(host) == ["backendai-prometheus.service", "backendai-registry.service"]
    failed = {STEP.name: Outcome("failed", "it is broken")}
    assert services_ready([STEP], failed, ready) == frozenset(ready.facts.installed())


def test_one_that_its_operator_disabled_stays_so(ready: Context, host: FakeSystemd) -> None:
    STEP.apply(ready)
    for name in ALL:
        host.enabled[f"backendai-{name}.service"] = "disabled"
        host.active[f"backendai-{name}.service"] = "inactive"
    assert STEP.check(ready) == []


def test_undone_nothing_but_data_is_left(ready: Context, host: FakeSystemd) -> None:
    data = ready.paths.state / "prometheus" / "wal"
    data.mkdir(parents=True)
    STEP.apply(ready)
    STEP.undo(ready)
    assert started(host) == [] and data.is_dir()
    assert not [name for name in ALL if ready.paths.ready(name).exists()]
    assert not [*ready.paths.config.glob("*.json"), *ready.paths.config.glob("*.flags")]


def test_on_a_joined_node_one_without_its_secrets_waits(
    ready: Context, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a node that joined before there was a registry, or before it had that role."""
    monkeypatch.setattr(serve_beside.holders, "joined", lambda _: True)
    ready.secrets.path("registry-password").unlink()
    STEP.apply(ready)
    assert "backendai-registry.service" not in started(host) and started(host)
    assert STEP.check(ready) == []
