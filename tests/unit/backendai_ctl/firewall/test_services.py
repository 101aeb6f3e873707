"""Promise: a service connects to the ports that its BUILD file names, and the rules say so."""

from __future__ import annotations

import pytest

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.firewall import ruleset, services
from backendai_ctl.site.schema import Site


@pytest.fixture
def numbered(ctx: Context) -> dict[str, int]:
    """The number of the account of each service that has one."""
    return {name: uid for name, (uid, _) in accounts.numbers(ctx.facts.services().values()).items()}


def rules_of(ctx: Context, uid: int) -> str:
    text = ruleset.text(ctx, of_nodes=False)
    (line,) = [line for line in text.splitlines() if f"meta skuid {uid} " in line]
    return line.partition("{ ")[2].partition(" }")[0]


def test_each_has_its_own_ports_and_those_that_it_names(
    ctx: Context, numbered: dict[str, int]
) -> None:
    assert rules_of(ctx, numbered["webserver"]) == "4000, 8081, 8090, 8110, 16379"
    assert rules_of(ctx, numbered["gateway"]) == "4000, 8081"
    assert rules_of(ctx, numbered["postgresql"]) == "8100"
    assert rules_of(ctx, numbered["etcd"]) == "8120, 8121"
    assert "8121" not in rules_of(ctx, numbered["manager"]), "members of etcd alone"
    # As for Prometheus: where services show their figures.
    asked = rules_of(ctx, numbered["prometheus"]).split(", ")
    assert {"6003", "8130", "8131", "10200", "10201", "10202", "16023", "18080"} <= set(asked)
    assert not {"8100", "8110", "6001", "6022", "8140"} & set(asked)
    assert "30000-31000" in rules_of(ctx, numbered["appproxy-worker"])
    assert "30000" not in rules_of(ctx, numbered["webserver"])


def test_nobody_of_them_connects_to_what_he_has_no_business_with(
    ctx: Context, numbered: dict[str, int]
) -> None:
    lines = ruleset.text(ctx, of_nodes=False).splitlines()
    (refused,) = [line for line in lines if "fib daddr type local" in line and "reject" in line]
    for port in ("8081", "8100", "8110", "8120", "8140", "6001", "6022", "16023", "30000-31000"):
        assert f" {port}," in refused or f" {port} " in refused, port
    everybody = next(line for line in lines if "meta skuid != {" in line)
    here = [numbered[name] for name in services.permitted(ctx) if name in numbered]
    assert len(here) > 10 and all(str(uid) in everybody for uid in here)


def test_services_of_one_account_have_what_one_of_them_needs(
    ctx: Context, numbered: dict[str, int]
) -> None:
    assert {"agent", "storage-proxy"}.isdisjoint(numbered)
    theirs = rules_of(ctx, ctx.facts.uid).split(", ")
    assert {"6001", "6022", "8110", "8120", "8140", "30000-31000"} <= set(theirs)
    assert {"8100", "8081", "8090", "8130", "10200"}.isdisjoint(theirs)


def test_ports_are_those_of_the_site_file(ctx: Context, numbered: dict[str, int]) -> None:
    site = Site.model_validate({"network": {"ports": {"manager": {"api": 8888}}}})
    moved = Context(ctx.facts, site)
    assert "8888" in rules_of(moved, numbered["webserver"])
    assert "8081" not in ruleset.text(moved, of_nodes=False)


def test_an_account_that_is_not_there_has_no_rule(
    ctx: Context, numbered: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "numbers", lambda found: {})
    assert f"meta skuid {numbered['manager']} " not in ruleset.text(ctx, of_nodes=False)
