"""Nodes that contradict each other are named with line, key, reason and cure, all at once."""

from __future__ import annotations

import pytest

from backendai_ctl.facts import Facts
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.topology import here
from backendai_ctl.validation.load import load

GOOD = """\
[nodes.one]
address = "10.0.0.1"
roles = ["management", "storage"]

[nodes.two]
address = "10.0.0.2"
roles = ["compute"]
"""


def faults(facts: Facts, text: str, node: str = "one") -> list[str]:
    facts.paths.site_file.write_text(text)
    here.name_file(facts).write_text(f"{node}\n")
    try:
        load(facts.paths.site_file, facts)
    except SiteFaults as found:
        return [f"{f.line} {f.key}: {f.message}; {f.hint}" for f in found.faults]
    return []


def test_a_good_site_has_none(facts: Facts) -> None:
    assert faults(facts, GOOD) == []
    assert faults(facts, GOOD, "two") == []
    assert faults(facts, '[nodes.one]\naddress = "10.0.0.1"\nroles = ["all-in-one"]\n') == []


def test_all_are_reported_at_once(facts: Facts) -> None:
    text = """\
[network]
listen = "10.0.0.1"
allow = ["10.0.0.0/24"]

[agent]
address = "10.0.0.1"

[nodes.one]
address = "10.0.0.1"
roles = ["managment", "compute", "compute"]
resource_group = "gpu"

[nodes.two]
address = "10.0.0.1"
roles = ["storage"]
resource_group = "gpu"

[nodes.three]
address = "localhost"
roles = ["edge"]
"""
    found = faults(facts, text)
    assert found == [
        "2 network.listen: would be the same on every node; leave it out: services listen on the "
        "address of their node",
        "6 agent.address: would be the same on every node; leave it out: an agent listens on the "
        "address of its node",
        "8 nodes: no node has the role 'management'; add it to one of them: "
        'roles = ["management", ...]',
        "10 nodes.one.roles: names a role twice; name each role once",
        "10 nodes.one.roles[0]: there is no role 'managment'; did you mean 'management'?",
        "14 nodes.two.address: is the address of node 'one' as well; give each node its own; one "
        "node may have several roles",
        "16 nodes.two.resource_group: has no use without an agent; "
        'add the role "compute", or leave this out',
        "19 nodes.three.address: is not an address at which other nodes reach this one; name the "
        "node's address in their common network",
    ]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("10.0.0.1", "fd00::1"), "nodes.one.address: is an IPv6 address"),
        (('["management", "storage"]', "[]"), "nodes.one.roles: is empty"),
        (('roles = ["compute"]', "role = 1"), "nodes.two.role: unknown key; did you mean 'roles'?"),
        (("[nodes.two]", "[nodes.Two]"), "nodes.Two: cannot be the name of a table"),
        (('"storage"]', '"compute"]'), "nodes: no node has the role 'storage'"),
        (('"10.0.0.2"', '"10.0.0.2"\ninterface = "10.0.0.2/24"'), "nodes.two.interface: is not"),
    ],
)
def test_single_faults(facts: Facts, change: tuple[str, str], key: str) -> None:
    found = faults(facts, GOOD.replace(*change, 1))
    assert any(key in fault for fault in found), found


def test_a_host_that_is_no_node_is_told(facts: Facts) -> None:
    (found,) = faults(facts, GOOD, "three")
    assert found.startswith("1 nodes: this host is none of the site's nodes (one, two)")
    assert "node join FILE" in found


def test_a_second_storage_proxy_needs_a_name_of_its_own(facts: Facts) -> None:
    text = GOOD + '\n[nodes.local]\naddress = "10.0.0.3"\nroles = ["storage"]\n'
    assert any("storage.proxy: is the name of node 'local'" in f for f in faults(facts, text))


def test_files_that_only_other_nodes_need_may_be_missing(facts: Facts) -> None:
    text = GOOD + '\n[database.manager]\npassword_file = "/nowhere/password"\n'
    assert any("No such file" in fault for fault in faults(facts, text, "one"))
    assert faults(facts, text, "two") == []
