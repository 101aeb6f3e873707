"""A second edge node: whoever signed in at one web server is signed in at the other.

So one address, a balancer's or a floating one, may lead to any of them. The site of
test_nodes_join_a_site goes on here.
"""

from __future__ import annotations

import json

import pytest
from scenario import EMAIL, changed, ctl
from site_of_nodes import ADDRESSES, Site

EDGES = ("storage1", "compute1")
# POST to each web server in turn, with the cookie of the first; JSON on standard input and output.
CALLS = """
import json, ssl, sys, urllib.request as r
context = ssl.create_default_context(cafile="/etc/backendai/tls/ca.crt")
given, cookie, said = json.load(sys.stdin), "", []
for url, data in given:
    asked = r.Request(url, json.dumps(data).encode(), {"Content-Type": "application/json"})
    if cookie:
        asked.add_header("Cookie", cookie)
    with r.urlopen(asked, context=context, timeout=60) as answer:
        said.append(json.load(answer))
        cookie = cookie or (answer.headers["Set-Cookie"] or "").partition(";")[0]
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="module")
def edges(nodes: Site) -> Site:
    """Two nodes are edge nodes, one has an agent as well."""
    nodes.change(storage1=("storage", "edge"), compute1=("compute", "edge"))
    for name in EDGES:
        nodes.install(name)
        nodes.join(name)
    nodes.healthy("mgmt", *EDGES)
    return nodes


def test_a_session_of_one_web_server_is_known_to_the_other(edges: Site) -> None:
    first, second = (f"https://{ADDRESSES[name]}:8090/server" for name in EDGES)
    login = {
        "username": EMAIL,
        "password": edges.mgmt.sh("cat /etc/backendai/secrets/admin-password"),
    }
    order = [(f"{first}/login", login), (f"{second}/login-check", {})]
    call = ["/opt/backendai/current/bin/python", "-I", "-c", CALLS]
    there, here = json.loads(edges.mgmt.check(call, stdin=json.dumps(order)).stdout)
    assert there["authenticated"] is True, there
    assert (here["authenticated"], here["data"]["role"]) == (True, "superadmin")


def test_both_have_certificates_for_the_address_of_the_site(edges: Site) -> None:
    for name in EDGES:
        told = edges.hosts[name].sh(
            "openssl x509 -noout -ext subjectAltName -in /etc/backendai/tls/server.crt"
        )
        assert f"IP Address:{ADDRESSES['mgmt']}" in told and f"IP Address:{ADDRESSES[name]}" in told


def test_another_run_changes_nothing(edges: Site) -> None:
    for host in edges.hosts.values():
        assert changed(host) == []
    rows = ctl(edges.mgmt, "node", "list")["nodes"]
    assert {row["name"] for row in rows if row["ok"]} >= {"mgmt", *EDGES}
