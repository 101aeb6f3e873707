"""Volumes that one node of the site keeps and the others mount: who has them, who needs them."""

from __future__ import annotations

from collections.abc import Iterator

from backendai_ctl.facts import Facts
from backendai_ctl.nodes import layout
from backendai_ctl.site.faults import Fault
from backendai_ctl.site.schema import Site, Volume
from backendai_ctl.site.values import canonical

USERS = ("agent", "storage-proxy")  # components that look into volumes


def server_node(site: Site, volume: Volume) -> str:
    """The node of the site that keeps a volume, by its name or address; empty: another machine."""
    wanted = volume.server if volume.kind == "nfs" else None
    if wanted is None:
        return ""
    if wanted in site.nodes:
        return wanted
    place = _plain(wanted)
    return next((n for n, node in site.nodes.items() if _plain(node.address) == place), "")


def clients(site: Site, facts: Facts, node: str) -> list[str]:
    """Names of the nodes that mount what this one keeps: those with an agent or storage proxy."""
    found = (other for user in USERS for other in layout.running(site, facts, user))
    return [other for other in dict.fromkeys(found) if other != node]


def contradictions(site: Site, facts: Facts) -> Iterator[Fault]:
    """What cannot be among shared volumes."""
    for name, volume in site.storage.volumes.items():
        above = ("storage", "volumes", name)
        node = server_node(site, volume)
        if volume.kind != "nfs":
            continue
        if not node and volume.export is None:
            yield Fault((*above, "export"), 'is missing with kind = "nfs"', "add export")
        if not node:
            continue
        if "storage-proxy" not in layout.components_of(site, facts, node):
            yield Fault(
                (*above, "server"),
                f"is node {node!r}, which has no storage proxy",
                f'add "storage" to the roles of {node!r}',
            )
        if volume.export is not None and volume.export != volume.path:
            yield Fault(
                (*above, "export"),
                f"has no use: {volume.server} is a node of this site and serves `path`",
                "leave it out; `path` is the same on every node",
            )


def _plain(host: str) -> str:
    return canonical(host).rstrip(".")
