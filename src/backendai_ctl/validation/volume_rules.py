"""Contradictions among volumes, and the storage proxies that offer them."""

from __future__ import annotations

from collections.abc import Iterator

from backendai_ctl.facts import Facts
from backendai_ctl.site.faults import Fault
from backendai_ctl.site.schema import Site
from backendai_ctl.site.suggest import suggest
from backendai_ctl.topology import layout, shared


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
        node = shared.server_node(site, volume)
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
