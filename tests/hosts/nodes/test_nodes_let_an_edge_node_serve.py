"""Promise: a node that takes the edge role serves what users reach, and the management node does no more.

The site of test_nodes_join_a_site goes on here.
"""

from __future__ import annotations

import re

import pytest
from host import Host
from scenario import changed, ctl
from site_of_nodes import ADDRESSES, SECRETS, Site, listening


@pytest.fixture(scope="module")
def edge(nodes: Site) -> Host:
    """The storage node takes a second role in the running site."""
    nodes.change(storage1=("storage", "edge"))
    (found,) = [r for r in ctl(nodes.mgmt, "node", "list")["nodes"] if r["name"] == "compute1"]
    assert (found["ok"], found["message"]) == (False, "its site file is not the one of mgmt")
    nodes.install("storage1")
    nodes.join("storage1")
    return nodes.hosts["storage1"]


def test_an_edge_node_takes_over_what_users_reach(nodes: Site, edge: Host) -> None:
    nodes.healthy("mgmt", "storage1")
    kept = nodes.mgmt.sh("ls /etc/systemd/system/backendai.target.wants")
    assert not re.search("webserver|gateway|appproxy", kept)
    wanted = {"appproxy-api", "appproxy-jwt", "appproxy-permit", "database-coordinator"}
    found = set(edge.sh(SECRETS).split())
    assert wanted <= found
    assert not found & {"admin-password", "database-manager", "etcd-root-password"}
    address = ADDRESSES["storage1"]
    call = ["openssl", "s_client", "-connect", f"{address}:8090", "-verify_return_error"]
    edge.check([*call, "-CAfile", "/etc/backendai/tls/ca.crt"], timeout=30)
    code = (
        "import ssl, urllib.request as r;"
        "c = ssl.create_default_context(cafile='/etc/backendai/tls/ca.crt');"
        f"print(r.urlopen('https://{address}:8090/func/', context=c, timeout=30).status)"
    )
    assert edge.check(["/opt/backendai/current/bin/python", "-I", "-c", code]).stdout == "200\n"
    assert (ADDRESSES["mgmt"], 8100) in listening(nodes.mgmt)
    assert changed(nodes.mgmt) == []
    assert changed(edge) == []


def test_the_database_lets_in_the_edge_node_alone(nodes: Site, edge: Host) -> None:
    rules = nodes.mgmt.sh("cat /etc/backendai/pg_hba.conf")
    lines = [line for line in rules.splitlines() if line.startswith("host")]
    own, lines = lines[:2], lines[2:]
    assert [line.split()[3] for line in own] == ["127.0.0.1/32", "::1/128"]
    name, edge1 = '"backendai_appproxy"', f'"{ADDRESSES["storage1"]}/32"'
    assert lines == [f"host {name} {name} {edge1} scram-sha-256"]
