"""Into sessions on several nodes: nodes alone, and of this host its kernel alone."""

from __future__ import annotations

from collections.abc import Callable

from backendai_ctl.context import Context
from backendai_ctl.firewall import links, ruleset

At = Callable[..., Context]


def test_the_port_is_open_to_nodes_alone(at: At) -> None:
    lines = [line.strip() for line in links.chains(at("gpu1"))]
    into = lines[lines.index("chain from_nodes {") + 1 : lines.index("}")]
    assert into[0] == 'iifname "lo" drop' and into[-1] == "drop"
    assert [line.split()[2] for line in into[1:-1]] == ["@nodes4", "@nodes6"]
    assert "udp dport 6005 fib daddr type local jump from_nodes" in lines


def test_no_program_and_no_container_sends_to_it(at: At) -> None:
    lines = ruleset.text(at("gpu1"), of_nodes=False).splitlines()
    assert "    ip daddr @nodes4 udp dport 6005 meta skuid 0-4294967294 drop" in lines
    assert "    fib daddr type local udp dport { 111, 2049, 6005 } drop" in lines


def test_it_is_the_port_of_the_site_file(at: At) -> None:
    ctx = at("gpu1")
    agent = ctx.site.agent.model_copy(update={"cluster_port": 7000})
    object.__setattr__(ctx, "site", ctx.site.model_copy(update={"agent": agent}))
    text = ruleset.text(ctx, of_nodes=False)
    assert "udp dport 7000 fib" in text and "111, 2049, 7000" in text and "6005" not in text


def test_who_has_no_agent_has_no_such_rules(at: At) -> None:
    assert "from_nodes" not in ruleset.text(at("mgmt"), of_nodes=True)
