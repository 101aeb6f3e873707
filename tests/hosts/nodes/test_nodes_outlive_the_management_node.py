"""The management node is away: agents keep running, and are back by themselves when it is.

The manager takes an agent for LOST after 40 seconds without a heartbeat, so an outage that lasts
until then is past every limit of upstream's; a longer one only lasts longer. BACKENDAI_OUTAGE=300
makes it five minutes.
"""

from __future__ import annotations

import os

import outage
import own_servers
from site_of_nodes import Site

AGENTS = ("compute1", "compute2")
SERVERS = tuple(own_servers.UNITS.values())


def test_agents_outlive_a_network_that_is_cut(nodes: Site) -> None:
    took = outage.cut(nodes, AGENTS, float(os.environ.get("BACKENDAI_OUTAGE", "0")))
    print(took)
    nodes.healthy()


def test_agents_outlive_a_restart_of_all_servers(nodes: Site) -> None:
    before = {name: outage.running(nodes.hosts[name]) for name in AGENTS}
    nodes.mgmt.check(["systemctl", "stop", "backendai.target", *SERVERS], timeout=200)
    assert {name: outage.running(nodes.hosts[name]) for name in AGENTS} == before
    nodes.mgmt.check(["systemctl", "start", *SERVERS, "backendai.target"], timeout=300)
    nodes.healthy()
    for name in AGENTS:
        nodes.agent(name)
    assert {name: outage.running(nodes.hosts[name]) for name in AGENTS} == before
