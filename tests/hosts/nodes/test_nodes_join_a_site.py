"""A management node and a compute node become one site; an edge node is added later.

The tests follow each other: a site that grows is what an operator has.
"""

from __future__ import annotations

import re

import pytest
from host import Host
from site_of_nodes import ADDRESSES, EDGE, FILE, PASSPHRASE, SITE_FILE, Site, ctl, join

SECRETS = "ls -1 /etc/backendai/secrets 2>/dev/null || :"


def listening(host: Host) -> set[tuple[str, int]]:
    """Address and port of every listening TCP socket beyond loopback."""
    found = set()
    for line in host.sh("ss -Hltn").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        address = address.strip("[]").partition("%")[0]
        if address not in ("127.0.0.1", "::1"):
            found.add((address, int(port)))
    return found


def changed(host: Host) -> list[str]:
    """Steps of another `reconfigure` that did something."""
    steps = ctl(host, "reconfigure")["steps"]
    return [name for name, step in steps.items() if step["state"] != "same"]


def test_the_management_node_is_set_up_by_its_packages(nodes: Site) -> None:
    assert "this host is configured" in nodes.installations["mgmt"].stdout
    nodes.mgmt.check(["backendai-ctl", "status", "--wait", "240"], limit=300)


def test_a_node_that_has_not_joined_makes_nothing(nodes: Site) -> None:
    assert "backendai-ctl node join FILE" in nodes.installations["compute1"].stdout
    assert nodes.hosts["compute1"].sh(SECRETS) == ""


def test_what_does_not_fit_is_refused_and_nothing_is_written(nodes: Site) -> None:
    host = nodes.carry("compute1")
    passphrase = host.sh(f"cat {PASSPHRASE}")
    host.write(PASSPHRASE, "something-else\n")
    refused = join(host)
    assert refused.returncode == 2 and "the passphrase is not this file's" in refused.stderr
    host.write(PASSPHRASE, f"{passphrase}\n")
    host.sh(f"sed -i '2s/compute1/compute2/' {FILE}")
    refused = join(host)
    assert refused.returncode == 2 and "was changed" in refused.stderr
    nodes.carry("compute1", to="edge1").sh("hostname mgmt")
    refused = join(nodes.hosts["edge1"])
    nodes.hosts["edge1"].sh("hostname edge1")
    assert refused.returncode == 2 and "the file is for 'compute1'" in refused.stderr
    for name in ("compute1", "edge1"):
        assert nodes.hosts[name].sh("ls -A /etc/backendai/site.toml 2>/dev/null || :") == ""
        assert nodes.hosts[name].sh(SECRETS) == ""
    elsewhere = nodes.mgmt.run(["backendai-ctl", "node", "export", "mgmt"])
    assert elsewhere.returncode == 2 and "which has everything" in elsewhere.stderr


def test_a_compute_node_joins_and_its_agent_is_alive(nodes: Site) -> None:
    host = nodes.carry("compute1")
    before = join(host, "--dry-run")
    assert before.returncode == 0 and "site.toml: write it" in before.stdout
    assert host.sh(SECRETS) == ""
    done = join(host)
    assert done.returncode == 0, done
    assert host.sh(SECRETS).split() == ["cache-password", "etcd-password"]
    assert host.run(["test", "-e", "/etc/backendai/tls/ca.key"]).returncode != 0
    agent = nodes.agent("compute1")
    assert agent["addr"] == f"tcp://{ADDRESSES['compute1']}:6001"
    assert agent["public_key"], "its RPC is encrypted and for the manager alone"
    (group,) = nodes.sql("SELECT wsproxy_addr FROM scaling_groups")
    assert group["wsproxy_addr"] == f"https://{ADDRESSES['mgmt']}:10200"
    host.check(["backendai-ctl", "status", "--wait", "120"], limit=180)


def test_another_run_changes_nothing_anywhere(nodes: Site) -> None:
    host = nodes.hosts["compute1"]
    again = ctl(host, "node", "join", FILE, "--passphrase-file", PASSPHRASE)
    assert again["changes"] == []
    assert changed(host) == []
    assert changed(nodes.mgmt) == []


def test_only_what_nodes_need_leaves_loopback(nodes: Site) -> None:
    mgmt, compute = listening(nodes.mgmt), listening(nodes.hosts["compute1"])
    assert {address for address, _ in mgmt} == {ADDRESSES["mgmt"]}
    assert {(ADDRESSES["mgmt"], port) for port in (2379, 6379, 8090, 6021)} <= mgmt
    assert not {port for _, port in mgmt} & {5432, 2380, 8081, 6022, 4000}
    assert {(a, p) for a, p in compute if a != "172.17.0.1"} == {(ADDRESSES["compute1"], 6001)}


def test_rules_for_the_firewall_name_the_nodes(nodes: Site) -> None:
    text = nodes.hosts["compute1"].check(["backendai-ctl", "node", "firewall"]).stdout
    assert "tcp dport { 6001, 30000-31000 } drop" in text
    assert ADDRESSES["mgmt"] in text


def test_the_agent_comes_back_after_the_management_node_was_away(nodes: Site) -> None:
    servers = ["postgresql", "valkey-server", "etcd"]
    nodes.mgmt.check(["systemctl", "stop", "backendai.target", *servers], limit=200)
    nodes.hosts["compute1"].sh("systemctl is-active backendai-agent || :")
    nodes.mgmt.check(["systemctl", "start", *servers, "backendai.target"], limit=300)
    nodes.mgmt.check(["backendai-ctl", "status", "--wait", "240"], limit=300)
    nodes.agent("compute1")
    nodes.hosts["compute1"].check(["backendai-ctl", "status", "--wait", "240"], limit=300)


@pytest.fixture(scope="module")
def edge(nodes: Site) -> Host:
    """The edge node, added to the running site."""
    nodes.mgmt.write("/etc/backendai/site.toml", SITE_FILE + EDGE)
    ctl(nodes.mgmt, "reconfigure")
    host = nodes.carry("edge1")
    done = join(host)
    assert done.returncode == 0, done
    return host


def test_an_edge_node_takes_over_what_users_reach(nodes: Site, edge: Host) -> None:
    edge.check(["backendai-ctl", "status", "--wait", "240"], limit=300)
    kept = nodes.mgmt.sh("ls /etc/systemd/system/backendai.target.wants")
    assert not re.search("webserver|gateway|appproxy", kept)
    assert edge.sh(SECRETS).split() == [
        *("appproxy-api", "appproxy-jwt", "appproxy-permit"),
        *("cache-password", "database-coordinator"),
    ]
    page = f"https://{ADDRESSES['edge1']}:8090/func/"
    call = ["openssl", "s_client", "-connect", f"{ADDRESSES['edge1']}:8090", "-verify_return_error"]
    edge.check([*call, "-CAfile", "/etc/backendai/tls/ca.crt"], limit=30)
    code = (
        "import ssl, urllib.request as r;"
        "c = ssl.create_default_context(cafile='/etc/backendai/tls/ca.crt');"
        f"print(r.urlopen('{page}', context=c, timeout=30).status)"
    )
    assert edge.check(["/opt/backendai/current/bin/python", "-I", "-c", code]).stdout == "200\n"
    assert (ADDRESSES["mgmt"], 5432) in listening(nodes.mgmt)
    assert changed(nodes.mgmt) == []
    assert changed(edge) == []


def test_the_database_lets_in_the_edge_node_alone(nodes: Site, edge: Host) -> None:
    rules = nodes.mgmt.sh("cat /etc/postgresql/17/main/backendai_hba.conf")
    lines = [line for line in rules.splitlines() if line.startswith("host")]
    account = "backendai_appproxy backendai_appproxy"
    assert lines == [f"host {account} {ADDRESSES['edge1']}/32 scram-sha-256"]
