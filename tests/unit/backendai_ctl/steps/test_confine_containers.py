"""confine-containers: not on request, and no agent starts without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.engine.journal import Outcome
from backendai_ctl.errors import Problem
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.operations.reconfigure import ready
from backendai_ctl.platform import systemd, units
from backendai_ctl.platform.run import Done
from backendai_ctl.steps.confine_containers import ConfineContainers

STEP = ConfineContainers()


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd."""
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(systemd, "systemctl", lambda *_words: "")


def test_it_concerns_hosts_with_an_agent(ctx: Context) -> None:
    assert runner.concerned(STEP, ctx)
    (ctx.paths.units / "backendai-agent.service").unlink()
    assert not runner.concerned(STEP, ctx)


def test_the_agent_waits_for_it_and_nothing_else_does(ctx: Context) -> None:
    failed = {STEP.name: Outcome("failed", "no nft")}
    assert ready([STEP], failed, ctx) == frozenset(ctx.facts.installed()) - {"agent"}


def test_it_is_done_once(ctx: Context) -> None:
    assert STEP.check(ctx)
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    assert "chain containers" in ruleset.path(ctx).read_text()
    STEP.undo(ctx)
    assert STEP.check(ctx) and not ruleset.path(ctx).exists()


def test_rules_of_nodes_stay_when_the_operator_has_them(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruleset, "asked_for", lambda _ctx: True)
    assert not ctx.node
    STEP.apply(ctx)
    assert "chain incoming" not in ruleset.path(ctx).read_text(), "a single host has no nodes"


def test_what_may_not_look_believes_the_note_of_the_unit(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """backendai-reconfigure.service and backendai-upkeep.service: nft does not work there."""
    STEP.apply(ctx)
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(loaded, "may_look", lambda: False)
    monkeypatch.setattr(loaded, "NOTE", tmp_path / "note")
    (change,) = STEP.check(ctx)
    assert "load it again" in change.how
    loaded.NOTE.write_text("set made_from_0123456789abcdef {")
    assert STEP.check(ctx), "rules of another file"
    loaded.NOTE.write_text(ruleset.path(ctx).read_text())
    assert STEP.check(ctx) == []


def test_that_nft_refuses_them_is_told_in_its_words(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(call: list[str], *, timeout: float = 0) -> Done:
        said = "Error: Could not process rule: No such file\n" if "journalctl" in call else ""
        return Done(0 if said else 1, said, "")

    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "forget_failures", lambda _units: None)
    monkeypatch.setattr(loaded, "run", program)
    with pytest.raises(Problem, match="not loaded: Error: Could not process rule"):
        STEP.apply(ctx)
