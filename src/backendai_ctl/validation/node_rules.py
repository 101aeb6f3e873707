"""Contradictions among the nodes of a site, and which of them this host is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from backendai_ctl.errors import BadRequest
from backendai_ctl.facts import Facts
from backendai_ctl.site.faults import Fault
from backendai_ctl.site.locate import Loc
from backendai_ctl.site.schema import Node, Site
from backendai_ctl.site.suggest import suggest
from backendai_ctl.site.values import canonical, is_loopback
from backendai_ctl.topology import here, layout


def contradictions(site: Site, facts: Facts) -> Iterator[Fault]:
    """Every contradiction that has to do with nodes; none where the site is a single host."""
    if not site.nodes:
        return
    for name, node in site.nodes.items():
        yield from _node(site, facts, name, node)
    yield from _addresses(site)
    yield from _roles(site, facts)
    yield from _single_host_keys(site)
    for name in layout.running(site, facts, "storage-proxy")[1:]:
        if name == site.storage.proxy:
            yield Fault(
                ("storage", "proxy"),
                f"is the name of node {name!r} as well, whose storage proxy would be called the same",
                "choose another name",
            )


def this_host(site: Site, facts: Facts) -> Iterator[Fault]:
    """That this host is none of the nodes."""
    try:
        here.name(site, facts)
    except BadRequest as wrong:
        yield Fault(("nodes",), wrong.message, wrong.hint)


def elsewhere(site: Site, facts: Facts, node: str = "", brought: Collection[Path] = ()) -> set[Loc]:
    """Keys that name a file which only other nodes need, or which will be brought here."""
    if not site.nodes:
        return set()
    try:
        node = node or here.name(site, facts)
    except BadRequest:
        return set(named_files(site, facts))
    if node not in site.nodes:
        return set()
    needed = files_of(site, facts, node)
    given = named_files(site, facts)
    return {loc for loc, path in given.items() if path not in needed or path in brought}


def _needed_by(facts: Facts) -> dict[Loc, tuple[str, ...]]:
    """The keys that name a file of the operator's, and which components need it."""
    return {
        ("tls", "certificate"): facts.certified(),
        ("tls", "key"): facts.serving(),
        ("database", "ca"): facts.using("postgresql"),
        **{("database", d.name, "password_file"): (d.component,) for d in facts.databases()},
        ("cache", "sentinel", "password_file"): facts.using("valkey"),
        **{
            (section, key): facts.using(server)
            for section, server in (("cache", "valkey"), ("etcd", "etcd"))
            for key in ("ca", "certificate", "key", "password_file")
        },
    }


# Of tables that the operator names.
_OF_TABLES: dict[Loc, tuple[str, ...]] = {
    ("storage", "backend_options"): ("storage-proxy",),
    ("registries", "ca"): ("manager", "agent"),
    ("registries", "password_file"): ("manager",),  # agents are given it with each order to pull
}


def named_files(site: Site, facts: Facts) -> dict[Loc, Path]:
    """Every file of the operator's that the site file names, by its key."""
    found = {loc: path for loc in _needed_by(facts) if (path := _value(site, loc))}
    for name, volume in site.storage.volumes.items():
        if volume.backend_options:
            found["storage", "volumes", name, "backend_options"] = volume.backend_options
    for name, one in site.registries.items():
        given = {"ca": one.ca, "password_file": one.password_file}
        found |= {("registries", name, key): path for key, path in given.items() if path}
    return found


def _value(site: Site, loc: Loc) -> Path | None:
    found: Any = site
    for key in loc:
        found = getattr(found, str(key), None)
    return found if isinstance(found, Path) else None


def files_of(site: Site, facts: Facts, node: str) -> set[Path]:
    """The operator's files that a node needs: passwords, certificates."""
    has, needed_by = layout.components_of(site, facts, node), _needed_by(facts)
    return {
        path
        for loc, path in named_files(site, facts).items()
        if has & set(needed_by.get(loc) or _OF_TABLES[(loc[0], loc[-1])])
    }


def _node(site: Site, facts: Facts, name: str, node: Node) -> Iterator[Fault]:
    above = ("nodes", name)
    for number, role in enumerate(node.roles):
        if role not in facts.roles:
            yield Fault(
                (*above, "roles", number),
                f"there is no role {role!r}",
                suggest(role, facts.roles),
            )
    if len(set(node.roles)) != len(node.roles):
        yield Fault((*above, "roles"), "names a role twice", "name each role once")
    if is_loopback(node.address) or node.address in ("0.0.0.0", "::"):
        yield Fault(
            (*above, "address"),
            "is not an address at which other nodes reach this one",
            "name the node's address in their common network",
        )
    if node.resource_group and "agent" not in layout.components_of(site, facts, name):
        yield Fault(
            (*above, "resource_group"),
            "has no use without an agent",
            'add the role "compute", or leave this out',
        )
    if ":" in node.address and name in layout.serving(site, facts, "etcd"):
        yield Fault(
            (*above, "address"),
            "is an IPv6 address, which Backend.AI's client for etcd cannot reach",
            "give this node an IPv4 address or a name",
        )


def _addresses(site: Site) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for name, node in site.nodes.items():
        address = canonical(node.address)
        if address in seen:
            yield Fault(
                ("nodes", name, "address"),
                f"is the address of node {seen[address]!r} as well",
                "give each node its own; one node may have several roles",
            )
        seen.setdefault(address, name)


def _roles(site: Site, facts: Facts) -> Iterator[Fault]:
    for component, role in (("manager", "management"), ("storage-proxy", "storage")):
        if not layout.running(site, facts, component):
            yield Fault(
                ("nodes",),
                f"no node has the role {role!r}",
                f'add it to one of them: roles = ["{role}", ...]',
            )


def _single_host_keys(site: Site) -> Iterator[Fault]:
    """Keys whose values follow from the nodes."""
    if "listen" in site.network.model_fields_set and site.network.listen not in ("0.0.0.0", "::"):
        yield Fault(
            ("network", "listen"),
            "would be the same on every node",
            "leave it out: services listen on the address of their node",
        )
    if "address" in site.agent.model_fields_set:
        yield Fault(
            ("agent", "address"),
            "would be the same on every node",
            "leave it out: an agent listens on the address of its node",
        )
