"""What does not fit together in the site file's `[agent]`."""

from __future__ import annotations

from collections.abc import Iterator

from backendai_ctl.facts import Facts
from backendai_ctl.site.faults import Fault
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import WILDCARDS, is_loopback
from backendai_ctl.topology import layout

OURS_OF_DOCKER = {"hosts", "group", "containerd", "data-root", "exec-root", "pidfile", "bip"}
_SFTP_PORTS = 100  # at the least, so that ten sessions have a tenth of them


def contradictions(site: Site, facts: Facts) -> Iterator[Fault]:
    if site.agent.bridge in WILDCARDS:
        yield Fault(
            ("agent", "bridge"),
            "would open the metadata server to every network",
            "name the address of the containers' bridge, such as 172.17.0.1",
        )
    if not site.nodes and not is_loopback(site.agent.address):
        yield Fault(
            ("agent", "address"),
            "would open the agent and the apps of sessions to other hosts, which a single host "
            "has no use for",
            "leave it out; or describe the hosts of the site in [nodes.NAME], see NODES.md",
        )
    if site.agent.sftp:
        yield from _sftp(site, facts)
    for key in sorted(OURS_OF_DOCKER & set(site.agent.docker)):
        hint = "set agent.bridge" if key == "bip" else "leave it out"
        yield Fault(("agent", "docker", key), "is what backendai-ctl sets", hint)


def _sftp(site: Site, facts: Facts) -> Iterator[Fault]:
    groups: dict[tuple[str, ...], str] = {("agent", "group"): site.agent.group}
    groups |= {
        ("nodes", name, "resource_group"): layout.group_of(site, name) for name in site.nodes
    }
    for loc, group in groups.items():
        if group == layout.SFTP:
            yield Fault(loc, "is the resource group of agent.sftp", "choose another name")
    first, last = site.agent.container_ports
    if last - first + 1 < _SFTP_PORTS:
        yield Fault(
            ("agent", "container_ports"),
            f"has too few ports for agent.sftp, which takes a tenth of them: {last - first + 1}",
            f"give it {_SFTP_PORTS} or more, or leave out agent.sftp",
        )
