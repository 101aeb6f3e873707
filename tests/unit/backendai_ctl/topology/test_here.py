"""Which node a host is, and the address it listens on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Node, Site
from backendai_ctl.topology import here

At = Callable[..., Context]


def site(**settings: object) -> Site:
    return Site(nodes={"one": Node.model_validate({"roles": ["all-in-one"], **settings})})


def test_the_host_name_tells_and_the_file_wins(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Site(
        nodes={n: Node(address=f"10.0.0.{i}", roles=["compute"]) for i, n in enumerate("ab", 1)}
    )
    monkeypatch.setattr(socket, "gethostname", lambda: "A.example.org")
    assert here.name(wanted, facts) == "a"
    here.name_file(facts).write_text("b\n")
    assert here.name(wanted, facts) == "b"
    here.name_file(facts).write_text("c\n")
    with pytest.raises(BadRequest, match=r"none of the site's nodes \(a, b\) says 'c'"):
        here.name(wanted, facts)


def test_a_single_host_is_no_node(facts: Facts) -> None:
    assert here.context(facts, Site()) == Context(facts, Site())


def test_an_address_may_be_chosen_by_network_or_interface() -> None:
    local = site(address="node.example.org", interface="127.0.0.0/8")
    assert here.own_address(local, "one") == "127.0.0.1"
    by_name = site(address="node.example.org", interface="lo")
    assert here.own_address(by_name, "one") == "127.0.0.1"
    assert here.own_address(site(address="10.0.0.1"), "one") == "10.0.0.1"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"address": "10.0.0.1", "interface": "203.0.113.0/24"}, "no address in 203.0.113.0/24"),
        ({"address": "10.0.0.1", "interface": "nosuch0"}, "nosuch0 is not an interface"),
        ({"address": "localhost"}, "none of this host's"),
        ({"address": "no.such.name.invalid"}, "has no address"),
    ],
)
def test_what_is_not_here_is_said(settings: dict[str, object], why: str) -> None:
    with pytest.raises(Problem, match=why):
        here.own_address(site(**settings), "one")


def test_listening_everywhere_stays_as_the_site_file_says(at: At, facts: Facts) -> None:
    ctx = at("mgmt")
    assert ctx.site.network.listen == ctx.site.agent.address == "10.77.0.1"
    wide = ctx.site.model_copy(
        update={"network": ctx.site.network.model_copy(update={"listen": "0.0.0.0"})}
    )
    assert here.view(facts, wide, "mgmt", "10.77.0.1")[1].network.listen == "0.0.0.0"


TRIE = """\
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.79.0.0/24 2 0 2
        |-- 10.79.0.0
           /24 link UNICAST
        |-- 10.79.0.7
           /32 host LOCAL
        |-- 10.79.0.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
"""
SIX = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000009 04 40 00 82     eth0
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
"""


def test_further_addresses_of_an_interface_count_as_well(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/fib_trie").write_text(TRIE)
    (tmp_path / "net/if_inet6").write_text(SIX)
    found = here.addresses(tmp_path)
    assert found[-2:] == ["10.79.0.7", "2001:db8::9"] and "fe80::fc:ff:fe00:1" not in found
    assert found[0] == here.interfaces()[0][1] and found.count("127.0.0.1") == 1
    assert set(here.addresses()) >= {address for _, address in here.interfaces()}
