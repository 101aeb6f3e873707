"""apply-firewall: nothing unless the operator asked; then the rules follow the site file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import firewall
from backendai_ctl.site.schema import Node, Site
from backendai_ctl.steps import units
from backendai_ctl.steps.apply_firewall import STEP
from backendai_ctl.steps.plan import NAMES
from backendai_ctl.system import systemd
from backendai_ctl.system.run import Done

Calls = list[list[str]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What nft and systemctl were told; everything works."""
    made: Calls = []

    def nft(call: list[str], *, stdin: str) -> Done:
        made.append([*call[1:], stdin])
        return Done(0, "", "")

    monkeypatch.setattr(firewall, "NFT", "/bin/sh")
    monkeypatch.setattr(firewall, "run", nft)
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: made.append(list(words)))
    return made


def of_nodes(facts: Facts, **addresses: str) -> Context:
    """The first node of a site, which is for management; the others compute."""
    nodes = {
        name: Node(address=address, roles=["compute" if number else "management"])
        for number, (name, address) in enumerate(addresses.items())
    }
    return Context(facts, Site(nodes=nodes), node=next(iter(nodes)))


def test_it_comes_after_the_volumes_that_this_node_serves() -> None:
    assert NAMES.index(STEP.name) == NAMES.index("export-volumes") + 1


def test_without_the_operators_wish_nothing_is_loaded(
    ctx: Context, facts: Facts, calls: Calls
) -> None:
    for host in (ctx, of_nodes(facts, mgmt="10.77.0.1")):
        assert STEP.check(host) == []
        STEP.undo(host)
    assert calls == []


def test_a_node_that_joins_is_let_in_by_the_next_run(facts: Facts, calls: Calls) -> None:
    firewall.apply(of_nodes(facts, mgmt="10.77.0.1", gpu1="10.77.0.11"))
    grown = of_nodes(facts, mgmt="10.77.0.1", gpu1="10.77.0.11", gpu2="10.77.0.12")
    rules = facts.paths.config / "firewall.nft"
    assert [change.what for change in STEP.check(grown)] == [str(rules)]
    calls.clear()
    STEP.apply(grown)
    assert calls[0] == ["--file", "-", firewall.text(grown)]
    assert "10.77.0.12" in rules.read_text()
    assert STEP.check(grown) == []


def test_undo_takes_them_back(facts: Facts, calls: Calls) -> None:
    ctx = of_nodes(facts, mgmt="10.77.0.1")
    firewall.apply(ctx)
    STEP.undo(ctx)
    assert ["stop", firewall.UNIT] in calls
    assert not firewall.asked_for() and not (facts.paths.config / "firewall.nft").exists()


def test_rules_of_nodes_go_with_the_nodes(facts: Facts, calls: Calls) -> None:
    """They would refuse what a single host lets in, and cannot be worked out any more."""
    ctx = of_nodes(facts, mgmt="10.77.0.1")
    firewall.apply(ctx)
    single = replace(ctx, site=Site(), node="")
    assert [change.what for change in STEP.check(single)] == [firewall.UNIT]
    STEP.apply(single)
    assert not firewall.asked_for() and STEP.check(single) == []
