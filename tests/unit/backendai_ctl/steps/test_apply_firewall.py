"""apply-firewall: nothing unless the operator asked; then the rules follow the site file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.platform.run import Done
from backendai_ctl.site.schema import Node, Site
from backendai_ctl.steps.apply_firewall import ApplyFirewall
from backendai_ctl.steps.export_volumes import ExportVolumes
from backendai_ctl.steps.plan import STEPS

STEP = ApplyFirewall()

Calls = list[tuple[str, ...]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What systemctl was told; everything works, and the kernel has what was loaded."""
    made: Calls = []

    def program(call: list[str], *, timeout: float) -> Done:
        made.append(tuple(call[1:]))
        return Done(0, "", "")

    monkeypatch.setattr(loaded, "run", program)
    monkeypatch.setattr(loaded, "may_look", lambda: True)
    monkeypatch.setattr(loaded, "amiss", lambda _ctx: "")
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "forget_failures", lambda _units: None)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: made.append(words))
    return made


def of_nodes(facts: Facts, **addresses: str) -> Context:
    """The first node of a site, which is for management; the others compute."""
    nodes = {
        name: Node(address=address, roles=["compute" if number else "management"])
        for number, (name, address) in enumerate(addresses.items())
    }
    return Context(facts, Site(nodes=nodes), node=next(iter(nodes)))


def test_it_comes_after_the_volumes_that_this_node_serves() -> None:
    assert STEPS.index(ApplyFirewall) == STEPS.index(ExportVolumes) + 1


def test_without_the_operators_wish_nothing_is_loaded(facts: Facts, calls: Calls) -> None:
    host = of_nodes(facts, mgmt="10.77.0.1")
    assert STEP.check(host) == []
    STEP.undo(host)
    assert calls == []


def test_a_node_that_joins_is_let_in_by_the_next_run(facts: Facts, calls: Calls) -> None:
    loaded.load(of_nodes(facts, mgmt="10.77.0.1", gpu1="10.77.0.11"), of_nodes=True)
    grown = of_nodes(facts, mgmt="10.77.0.1", gpu1="10.77.0.11", gpu2="10.77.0.12")
    rules = facts.paths.config / "firewall.nft"
    assert [change.what for change in STEP.check(grown)] == [str(rules)]
    calls.clear()
    STEP.apply(grown)
    assert ("reload-or-restart", loaded.UNIT) in calls
    assert "10.77.0.12" in rules.read_text()
    assert STEP.check(grown) == []


def test_undo_takes_them_back(facts: Facts, calls: Calls) -> None:
    ctx = of_nodes(facts, mgmt="10.77.0.1")
    loaded.load(ctx, of_nodes=True)
    STEP.undo(ctx)
    assert ("stop", loaded.TIMER, loaded.WATCH, loaded.UNIT) in calls
    assert not ruleset.asked_for(ctx) and not ruleset.path(ctx).exists()
    assert list(units.FOLDER.iterdir()) == []


def asked_of_an_earlier_release(facts: Facts) -> Path:
    """What `node firewall --apply` of 26.9.6-1 leaves."""
    files.write(facts.paths.config / "firewall.nft", "table inet backendai {\n  chain incoming {\n")
    files.write(
        units.FOLDER / loaded.EARLIER, "# Written by backendai-ctl node firewall --apply.\n"
    )
    return units.FOLDER / loaded.EARLIER


def test_rules_that_an_earlier_release_was_asked_for_stay(facts: Facts, calls: Calls) -> None:
    """Its unit ends without its ExecStop=, which deletes the table, once ours has loaded them."""
    unit = asked_of_an_earlier_release(facts)
    ctx = of_nodes(facts, mgmt="10.77.0.1", gpu1="10.77.0.11")
    assert loaded.EARLIER in [change.what for change in STEP.check(ctx)]
    STEP.apply(ctx)
    assert "chain incoming" in ruleset.path(ctx).read_text() and not unit.exists()
    ours = calls.index(("reload-or-restart", loaded.UNIT))
    gone = calls.index(("--no-reload", "disable", loaded.EARLIER))
    assert ours < gone
    assert calls[gone + 1 :] == [("daemon-reload",), ("stop", loaded.EARLIER)]
    assert STEP.check(ctx) == []


def test_what_an_earlier_release_left_is_taken_back_as_well(facts: Facts, calls: Calls) -> None:
    unit = asked_of_an_earlier_release(facts)
    ctx = of_nodes(facts, mgmt="10.77.0.1")
    STEP.undo(ctx)
    assert calls[:2] == [("stop", loaded.EARLIER), ("--no-reload", "disable", loaded.EARLIER)]
    assert not unit.exists() and not ruleset.path(ctx).exists()


def test_rules_of_nodes_go_with_the_nodes(facts: Facts, calls: Calls) -> None:
    """They would refuse what a single host lets in, and cannot be worked out any more."""
    ctx = of_nodes(facts, mgmt="10.77.0.1")
    loaded.load(ctx, of_nodes=True)
    (facts.paths.units / "backendai-agent.service").unlink()
    single = replace(ctx, site=Site(), node="")
    assert [change.what for change in STEP.check(single)] == [ruleset.TABLE]
    STEP.apply(single)
    assert not ruleset.asked_for(ctx) and STEP.check(single) == []
