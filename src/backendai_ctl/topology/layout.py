"""What runs where: the nodes of the site file and their roles, as a table of the site.

Nothing here looks at a host. In a site without nodes all is on one host, and every list is empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from backendai_ctl.facts import EACH, Facts
from backendai_ctl.site.schema import Node, Site

# Table of the site file of each backing server.
TABLES = {"postgresql": "database", "valkey": "cache", "etcd": "etcd"}
METRICS = "prometheus"  # asks services and hosts for their figures
# The resource group of sessions that open a folder, and what names of its agents end in.
SFTP = "sftp"


def components_of(site: Site, facts: Facts, name: str) -> frozenset[str]:
    """The components that a node has by its roles."""
    known = [facts.roles[role] for role in site.nodes[name].roles if role in facts.roles]
    taken = {
        component
        for role in facts.roles.values()
        if role.takes and any(role.name in node.roles for node in site.nodes.values())
        for component in role.components
    }
    found = {component for role in known for component in role.components}
    own = {component for role in known if role.takes for component in role.components}
    return frozenset(found - (taken - own))


def running(site: Site, facts: Facts, component: str) -> list[str]:
    """Names of the nodes that have a component, in the order of the site file.

    Of servers those that the site does without count as components: they run where roles bring them.
    """
    return [name for name in site.nodes if component in _programs_of(site, facts, name)]


def _programs_of(site: Site, facts: Facts, name: str) -> set[str]:
    """Components of a node, and the servers there that the site does without."""
    known = [facts.roles[role] for role in site.nodes[name].roles if role in facts.roles]
    return {*components_of(site, facts, name), *(s for role in known for s in role.beside)}


def mode(site: Site, server: str) -> str:
    """Whether a backing server is the site's own (local) or of others (external)."""
    found: str = getattr(site, TABLES[server]).mode
    return found


def serving(site: Site, facts: Facts, server: str) -> list[str]:
    """Names of the nodes on which the site's own backing server runs; none: it is no site's, or external."""
    if server not in TABLES or mode(site, server) == "external":
        return []
    able = [name for name, node in site.nodes.items() if server in servers_of(facts, node)]
    return able[:1]


def servers_of(facts: Facts, node: Node) -> set[str]:
    """The backing servers that may run on a node, by its roles."""
    return {s for role in node.roles if role in facts.roles for s in facts.roles[role].servers}


def origin(site: Site, facts: Facts) -> str:
    """The node that makes secrets and certificates for all others; empty in a single host."""
    able = (name for name, node in site.nodes.items() if servers_of(facts, node))
    return next(able, "")


def exposed(site: Site, facts: Facts, component: str, what: str, name: str) -> bool:
    """Whether a port of a component on this node is needed by other nodes."""
    return any(
        node != name and (which == EACH or component not in _programs_of(site, facts, node))
        for caller, which in facts.callers(component, what).items()
        for node in running(site, facts, caller)
    )


def called_by(site: Site, facts: Facts, name: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Every (component, port) of another node that components of this one connect to."""
    services, found = facts.services(), dict[str, str]()
    for program in sorted(_programs_of(site, facts, name)):
        found.update(services[program].calls)
    for called, which in found.items():
        component, _, what = called.partition(":")
        nodes = running(site, facts, component)
        if which != EACH:
            nodes = [] if name in nodes else nodes[:1]
        yield from (((component, what), node) for node in nodes if node != name)


def server_exposed(site: Site, facts: Facts, server: str) -> bool:
    """Whether the site's own backing server is needed by other nodes than its own."""
    at = serving(site, facts, server)
    return bool(at) and any(node not in at for node in users(site, facts, server))


def users(site: Site, facts: Facts, server: str) -> list[str]:
    """Nodes with a component that connects to a backing server."""
    wanted = set(facts.using(server))
    return [name for name in site.nodes if wanted & components_of(site, facts, name)]


def figures_asked(facts: Facts, component: str, what: str) -> bool:
    """Whether the Prometheus of another node asks a port for figures."""
    return METRICS in facts.callers(component, what)


def storage_proxies(site: Site, facts: Facts) -> dict[str, str]:
    """Name of each storage proxy in volume names -> its node; an empty name: this host."""
    nodes = running(site, facts, "storage-proxy")
    if not nodes:
        return {site.storage.proxy: ""}
    first, *others = nodes
    return {site.storage.proxy: first, **{name: name for name in others}}


def offered_volumes(site: Site, node: str) -> list[str]:
    """Names of the volumes that the storage proxy of a node offers; an empty name: this host."""
    volumes = site.storage.volumes.items()
    return [name for name, volume in volumes if volume.proxies is None or node in volume.proxies]


def volume_hosts(site: Site, facts: Facts, volume: str) -> list[str]:
    """What Backend.AI calls a volume, PROXY:VOLUME, for each storage proxy that offers it."""
    proxies = storage_proxies(site, facts).items()
    return [f"{proxy}:{volume}" for proxy, at in proxies if volume in offered_volumes(site, at)]


def permitted_hosts(site: Site, facts: Facts) -> list[str]:
    """The volume hosts on which everybody may make folders."""
    volumes = site.storage.volumes.items()
    return [
        host
        for name, volume in volumes
        if volume.permit
        for host in volume_hosts(site, facts, name)
    ]


def resource_groups(site: Site, facts: Facts) -> list[str]:
    """Every resource group that agents of the site are in, the site's own first."""
    found = [site.agent.group, *(group_of(site, n) for n in running(site, facts, "agent"))]
    return list(dict.fromkeys([*found, *([SFTP] if site.agent.sftp else [])]))


def container_ports(site: Site) -> tuple[tuple[int, int], tuple[int, int]]:
    """Ports for services of containers: of what people compute in, and of what opens folders by SFTP.

    The second is the last tenth of the range, whether or not it is used.
    """
    first, last = site.agent.container_ports
    middle = last - (last - first + 1) // 10
    return (first, middle if site.agent.sftp else last), (middle + 1, last)


def group_of(site: Site, name: str) -> str:
    """The resource group of a node's agent."""
    node = site.nodes.get(name)
    return (node.resource_group if node else None) or site.agent.group


def agent_id(host: str) -> str:
    """What the manager knows the agent of a host by, unless that one was set up as another."""
    return f"i-{host}"


def apps_domain(site: Site, facts: Facts, name: str) -> str:
    """The domain in which apps have their names that a node's app proxy leads to; empty: they have ports."""
    nodes = running(site, facts, "appproxy-worker")
    if not site.apps.domain or (name and name not in nodes):
        return ""
    return f"{name}.{site.apps.domain}" if name in nodes[1:] else site.apps.domain


def front(site: Site, facts: Facts) -> str:
    """The node that the site's own address leads to; empty in a single host."""
    return next(iter(running(site, facts, "webserver")), "")


def public_host(site: Site, facts: Facts, name: str) -> str:
    """Name or address by which browsers and clients reach what a node serves to them."""
    if not name or name == front(site, facts):
        return site.site.address
    node = site.nodes[name]
    return node.public or node.address


def addresses(site: Site) -> Iterator[str]:
    """The addresses of all nodes, as the site file has them."""
    return (node.address for node in site.nodes.values())
