"""Rules of the firewall follow the listeners of the node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest
from backendai_ctl.firewall import ruleset

At = Callable[..., Context]


def rules(ctx: Context) -> str:
    """As `node firewall --apply` loads them."""
    return ruleset.text(ctx, of_nodes=True)


def test_a_compute_node_is_open_to_nodes_alone(at: At) -> None:
    text = rules(at("gpu1"))
    assert "elements = { 10.77.0.1/32, 10.77.0.11/32, 10.77.0.12/32, 10.77.0.2/32 }" in text
    assert "tcp dport { 6001, 6003, 8131, 8140, 30000-31000 } drop" in text
    assert "@users4" not in text


def test_users_reach_what_is_theirs(at: At) -> None:
    text = rules(at("mgmt"))
    assert "elements = { 192.0.2.0/24 }" in text
    assert "tcp dport { 8090, 10200, 10201, 10202, 10205-10400 } ip saddr @users4 accept" in text
    closed = next(line for line in text.splitlines() if line.endswith("drop"))
    assert "8120" in closed and "8110" in closed and "8100" not in closed


def test_it_is_a_table_of_its_own_that_is_replaced_whole(at: At) -> None:
    lines = rules(at("mgmt")).splitlines()
    assert lines[1:4] == [
        "table inet backendai",
        "delete table inet backendai",
        "table inet backendai {",
    ]
    assert "flush ruleset" not in lines


def test_the_kernels_rules_tell_which_file_they_are_of(at: At) -> None:
    one, other = rules(at("gpu1")), rules(at("gpu2"))
    assert ruleset.fingerprint(one) != ruleset.fingerprint(other)
    assert ruleset.fingerprint(one) == ruleset.fingerprint(rules(at("gpu1"))) != ""
    assert f"set {ruleset.fingerprint(one)} {{" in one
    assert ruleset.fingerprint("table inet backendai {}") == ""


def test_the_operators_wish_is_what_he_had_loaded(at: At) -> None:
    ctx = at("gpu1")
    assert not ruleset.asked_for(ctx)
    for of_nodes in (True, False):
        ruleset.path(ctx).write_text(ruleset.text(ctx, of_nodes=of_nodes))
        assert ruleset.asked_for(ctx) is of_nodes
    assert ruleset.needed(ctx), "its containers are confined whatever he wishes"
    assert not ruleset.needed(at("mgmt"))


def test_names_and_single_hosts_are_refused(at: At, ctx: Context) -> None:
    with pytest.raises(BadRequest, match="has no nodes"):
        rules(ctx)
    named = at("gpu1", '\n[nodes.far]\naddress = "far.example.org"\nroles = ["compute"]\n')
    with pytest.raises(BadRequest, match=r"far\.example\.org is a name"):
        rules(named)
