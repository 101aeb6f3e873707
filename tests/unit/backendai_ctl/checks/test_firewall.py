"""doctor tells when sessions are not kept apart, and of nodes whose ports anybody reaches."""

from __future__ import annotations

import pytest

from backendai_ctl.change import Change
from backendai_ctl.checks import firewall as checks
from backendai_ctl.checks.checks import checks as all_checks
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.site.schema import Node, Site


@pytest.fixture(autouse=True)
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "may_look", lambda: True)
    monkeypatch.setattr(loaded, "amiss", lambda _ctx: "")
    monkeypatch.setattr(loaded, "unwritten", lambda _ctx: [])


@pytest.fixture
def node(facts: Facts) -> Context:
    return Context(facts, Site(nodes={"a": Node(address="10.0.0.1", roles=["compute"])}), node="a")


def test_rules_that_the_kernel_has_are_fine(ctx: Context) -> None:
    assert checks.containers(ctx).level == "ok"


def test_rules_that_the_kernel_has_not_are_a_fault(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "amiss", lambda _ctx: "the kernel has no table")
    found = checks.containers(ctx)
    assert found.level == "fail" and found.message.startswith(
        "the kernel has no table: sessions reach"
    )
    assert found.hint == "run: backendai-ctl reconfigure"


def test_rules_of_an_older_site_file_are_a_warning(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "unwritten", lambda _ctx: [Change("firewall.nft", "write it")])
    assert checks.containers(ctx).level == "warn"


def test_what_cannot_be_seen_is_skipped(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "may_look", lambda: False)
    assert checks.containers(ctx).level == "skip"
    (ctx.paths.units / "backendai-agent.service").unlink()
    assert checks.containers(ctx).message == "no agent here"


def test_a_node_without_rules_of_nodes_is_warned_of(
    node: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checks.nodes(node)
    assert found.level == "warn" and found.hint.endswith(checks.APPLY)
    ruleset.path(node).write_text(ruleset.text(node, of_nodes=True))
    assert checks.nodes(node).level == "ok"
    monkeypatch.setattr(loaded, "amiss", lambda _ctx: "the kernel has no table")
    assert checks.nodes(node).level == "fail"


def test_both_are_looked_at(ctx: Context, node: Context) -> None:
    def looks(where: Context) -> set[object]:
        return {check.look for check in all_checks(where)}

    assert checks.containers in looks(ctx) and checks.nodes not in looks(ctx)
    assert {checks.containers, checks.nodes} <= looks(node)
