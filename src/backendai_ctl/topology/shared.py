"""Volumes that one node of the site keeps and the others mount: who has them, who needs them."""

from __future__ import annotations

from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site, Volume
from backendai_ctl.site.values import canonical
from backendai_ctl.topology import layout


def server_node(site: Site, volume: Volume) -> str:
    """The node of the site that keeps a volume, by its name or address; empty: another machine."""
    wanted = volume.server if volume.kind == "nfs" else None
    if wanted is None:
        return ""
    if wanted in site.nodes:
        return wanted
    place = _plain(wanted)
    return next((n for n, node in site.nodes.items() if _plain(node.address) == place), "")


def users(site: Site, facts: Facts, volume: str) -> list[str]:
    """Names of the nodes that look into a volume: those with an agent, or a proxy that offers it."""
    proxies = layout.running(site, facts, "storage-proxy")
    offering = (node for node in proxies if volume in layout.offered_volumes(site, node))
    return list(dict.fromkeys([*layout.running(site, facts, "agent"), *offering]))


def clients(site: Site, facts: Facts, volume: str) -> list[str]:
    """Names of the nodes that mount a volume which another one keeps."""
    server = server_node(site, site.storage.volumes[volume])
    return [node for node in users(site, facts, volume) if node != server]


def needed(site: Site, facts: Facts, volume: str, node: str) -> bool:
    """Whether a node keeps a volume or looks into it; always so in a single host."""
    server = server_node(site, site.storage.volumes[volume])
    return not node or node == server or node in users(site, facts, volume)


def _plain(host: str) -> str:
    return canonical(host).rstrip(".")
