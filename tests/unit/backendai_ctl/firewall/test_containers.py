"""What is closed to containers: nodes, every server that the site file names, and NFS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import tomllib

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.facts import Facts
from backendai_ctl.firewall import containers, ruleset
from backendai_ctl.site.schema import Site

At = Callable[..., Context]

SERVERS = """
[database]
mode = "external"
endpoints = ["192.0.2.1:5432", "192.0.2.2:5432"]
manager = { password_file = "/p" }
coordinator = { password_file = "/p" }

[cache]
mode = "external"
password_file = "/p"
sentinel = { service = "x", nodes = ["192.0.2.3:26379", "[2001:db8::3]:26379"] }

[etcd]
mode = "external"
endpoints = ["192.0.2.5:2379"]
tls = "on"
password_file = "/p"

[storage.volumes.home]
kind = "nfs"
server = "192.0.2.6"
export = "/home"
"""


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names mean to this host."""
    known: dict[str, list[str]] = {}

    def resolve_all(asked: Iterable[str]) -> dict[str, list[str]]:
        return {name: known.get(name, []) for name in asked}

    monkeypatch.setattr(containers, "resolve_all", resolve_all)
    return known


@pytest.fixture(autouse=True)
def interfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "class/net"
    folder.mkdir(parents=True)
    monkeypatch.setattr(containers, "INTERFACES", folder)
    return folder


def single(facts: Facts, text: str) -> Context:
    return Context(facts, Site.model_validate(tomllib.loads(text), strict=False))


def lines(ctx: Context) -> list[str]:
    return [line.strip() for line in ruleset.text(ctx, of_nodes=False).splitlines()]


def test_every_server_that_the_site_file_names_is_closed(facts: Facts) -> None:
    found = containers.closed(single(facts, SERVERS), {}).others
    assert set(found) == {*(f"192.0.2.{n}" for n in (1, 2, 3, 5, 6)), "2001:db8::3"}


def test_without_nodes_and_servers_this_host_itself_is_closed(ctx: Context) -> None:
    found = lines(ctx)
    own = [x for x in found if x.startswith("fib daddr type local tcp dport") and "drop" in x]
    closed = {word.strip(",") for line in own for word in line.split()}
    assert {
        "8100",
        "8110",
        "8120",
        "8121",
        "6001",
        "6022",
        "30000-31000",
        "10201",
        "10202",
    } <= closed
    assert not {"8090", "6021", "10200", "10205-10400", "40128"} & closed
    assert "fib daddr type local tcp dport { 111, 2049 } drop" in found
    assert "tcp dport { 111, 2049 } drop" in found


def test_ports_that_the_site_has_elsewhere_are_other_peoples_here(at: At) -> None:
    """A container of another application may use that one's PostgreSQL on a compute node."""
    found = lines(at("gpu1"))
    own = [x for x in found if x.startswith("fib daddr type local tcp dport") and "drop" in x]
    closed = {word.strip(",") for line in own for word in line.split()}
    assert "6001" in closed and "8100" not in closed


def test_neighbours_on_a_bridge_are_let_be_after_what_is_for_this_host(ctx: Context) -> None:
    found = lines(ctx)
    neighbours = found.index("fib daddr . iif oif exists accept")
    assert found.index("fib daddr type local accept") < neighbours
    assert neighbours < found.index("tcp dport { 111, 2049 } drop")


def test_nobody_is_a_node_by_saying_so(at: At) -> None:
    said = [line for line in lines(at("gpu1")) if "saddr @nodes" in line]
    assert len(said) == 4 and all("fib saddr . iif oif exists accept" in line for line in said)


def test_nodes_are_closed_but_for_what_serves_users(at: At) -> None:
    found = lines(at("gpu1"))
    served = "ip daddr @nodes4 tcp dport { 6021, 8090, 10200, 10205-10400 } accept"
    assert found.index(served) < found.index("ip daddr @nodes4 drop")
    assert "elements = { 10.77.0.1/32, 10.77.0.11/32, 10.77.0.12/32, 10.77.0.2/32 }" in found
    assert "chain containers {" not in lines(at("gpu1"))[:5]


def test_a_node_without_an_agent_has_no_such_rules(at: At) -> None:
    assert "chain containers {" in lines(at("gpu1"))
    assert "chain containers {" not in ruleset.text(at("mgmt"), of_nodes=True)


def test_only_what_comes_from_a_bridge_is_looked_at(ctx: Context) -> None:
    """Loopback and network cards have no kind: a rule that asks for another one never matches them."""
    found = lines(ctx)
    hook = found[found.index("chain containers {") :]
    hook = hook[: hook.index("}")]
    assert 'meta iifkind "bridge" jump from_containers' in hook
    assert not any(line.endswith("drop") for line in hook)
    assert [line for line in found if "iifkind" in line and "jump" not in line] == []


def test_what_others_began_goes_on(ctx: Context) -> None:
    found = lines(ctx)
    first = next(n for n, x in enumerate(found) if x.endswith("drop") and "dport" in x)
    assert found.index("ct direction reply accept") < first


def test_the_operator_opens_and_closes_what_he_names(facts: Facts) -> None:
    text = '[agent]\nopen_to_sessions = ["192.0.2.1:3128", "[2001:db8::1]:80"]\n'
    found = lines(single(facts, text + 'closed_to_sessions = ["198.51.100.0/24"]\n'))
    first = next(n for n, x in enumerate(found) if x.endswith("drop") and "dport" in x)
    assert found.index("ip daddr 192.0.2.1 tcp dport 3128 accept") < first
    assert found.index("ip6 daddr 2001:db8::1 tcp dport 80 accept") < first
    assert "elements = { 198.51.100.0/24 }" in found


def test_names_are_looked_up_and_what_they_meant_is_kept(
    facts: Facts, names: dict[str, list[str]]
) -> None:
    ctx = single(facts, SERVERS.replace("192.0.2.6", "nas.example"))
    with pytest.raises(Pending, match=r"nas\.example: has no address"):
        lines(ctx)
    names["nas.example"] = ["192.0.2.66", "2001:db8::66"]
    first = lines(ctx)
    assert "# nas.example is 192.0.2.66, 2001:db8::66" in first
    ruleset.path(ctx).write_text("\n".join(first))
    names.clear()
    assert lines(ctx) == first
    names["nas.example"] = ["192.0.2.67"]
    assert "# nas.example is 192.0.2.67" in lines(ctx)


def test_a_bridge_with_a_cable_is_no_containers(ctx: Context, interfaces: Path) -> None:
    for name, end in (("docker0", ""), ("br0", "device"), ("br1", "lower_eth1")):
        port = interfaces / f"{name}-port"
        (interfaces / name / "bridge").mkdir(parents=True)
        (interfaces / name / "brif" / port.name).mkdir(parents=True)
        port.mkdir()
        if end:
            (port / end).touch()
    assert 'iifname { "br0", "br1" } accept' in lines(ctx)
