"""Volumes that one node of the site keeps and the others mount: who has them, who needs them."""

from __future__ import annotations

from collections.abc import Iterator

from backendai_ctl.facts import Facts
from backendai_ctl.nodes import layout
from backendai_ctl.site.faults import Fault
from backendai_ctl.site.schema import Site, Volume
from backendai_ctl.site.suggest import suggest
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


def users(site: Site, facts: Facts, volume: str) -> list[str]:
    """Names of the nodes that look into a volume: those with an agent, or a proxy that offers it."""
    proxies = layout.running(site, facts, "storage-proxy")
    offering = (node for node in proxies if volume in layout.offered_volumes(site, node))
    return list(dict.fromkeys([*layout.running(site, facts, "agent"), *offering]))


def clients(site: Site, facts: Facts, volume: str) -> list[str]:
    """Names of the nodes that mount a volume which another one keeps."""
    keeper = server_node(site, site.storage.volumes[volume])
    return [node for node in users(site, facts, volume) if node != keeper]


def needed(site: Site, facts: Facts, volume: str, node: str) -> bool:
    """Whether a node keeps a volume or looks into it; always so in a single host."""
    keeper = server_node(site, site.storage.volumes[volume])
    return not node or node == keeper or node in users(site, facts, volume)


def _proxies(site: Site, facts: Facts, volume: str) -> Iterator[Fault]:
    for number, name in enumerate(site.storage.volumes[volume].proxies or ()):
        above = ("storage", "volumes", volume, "proxies", number)
        if name not in site.nodes:
            yield Fault(above, f"there is no node {name!r}", suggest(name, site.nodes))
        elif "storage-proxy" not in layout.components_of(site, facts, name):
            yield Fault(
                above,
                f"is node {name!r}, which has no storage proxy",
                f'add "storage" to the roles of {name!r}, or leave it out',
            )


def _idle_proxies(site: Site, facts: Facts) -> Iterator[Fault]:
    """Storage proxies that no volume names."""
    for name in layout.running(site, facts, "storage-proxy"):
        if not layout.offered_volumes(site, name):
            yield Fault(
                ("nodes", name, "roles"),
                "has a storage proxy, but no volume names it in `proxies`",
                f"add {name!r} to the `proxies` of a volume, or take the role away",
            )


def contradictions(site: Site, facts: Facts) -> Iterator[Fault]:
    """What cannot be among volumes, and the storage proxies that offer them."""
    yield from _idle_proxies(site, facts)
    for name, volume in site.storage.volumes.items():
        above = ("storage", "volumes", name)
        node = server_node(site, volume)
        yield from _proxies(site, facts, name)
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
