"""Every TCP port that may be listened on at a host of a site, and where it is bound.

Ports of components and servers are facts of the release; only what none declares is a table here.
`docs/OPERATING.md` shows the result, `ss -ltn` on a host must show nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from backendai_ctl import bridge, container_engine, tunnels
from backendai_ctl.context import Context
from backendai_ctl.facts import Component, Facts
from backendai_ctl.nodes import layout
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import bracketed, split_host_port
from backendai_ctl.storage import exports

LOOPBACK = "127.0.0.1"
WILDCARDS = ("0.0.0.0", "::")
ANY_PORT = (0, 0)  # chosen by the kernel
PEERS = "peers"  # the port of a server's other members, which no node needs

# Reached by browsers and clients: bound to `network.listen`, with TLS unless the site file turns it
# off.
FOR_USERS = {
    ("webserver", "http"),
    ("storage-proxy", "client"),
    ("appproxy-coordinator", "api"),
    ("appproxy-worker", "api"),
}
BOUND = {  # what the tables of the documentation call it
    "loopback": "loopback",
    "listen": "`network.listen`",
    "bridge": "`agent.bridge`",
    "agent": "`agent.address`",
    "any": "every address",
}
FOR_MANAGER = {("agent", "rpc")}  # bound to `agent.address`; everything else stays on loopback
APPS = (10205, 10300)  # of the app proxy worker


@dataclass(frozen=True)
class Listener:
    """One port, or a range of them (first, last), of a unit.

    `bound`: loopback, or a key of the site file: listen (`network.listen`), agent (`agent.address`),
    bridge (`agent.bridge`); or any: all addresses of the host.
    `always`: listening whenever the unit is well.
    """

    component: str  # or the name of a backing service
    unit: str
    ports: tuple[int, int]
    bound: str
    what: str
    always: bool = True


# What components open besides their declared ports: name -> (ports, bound, what).
_EXTRA: Mapping[str, tuple[tuple[tuple[int, int], str, str], ...]] = {
    "appproxy-worker": ((APPS, "listen", "apps of sessions, one port each"),),
    "agent": (((40128, 40128), "bridge", "metadata for containers"),),
}
# The container engine, where an agent is: the host's own, for ours has no containerd that listens.
_STREAMS = Listener(
    container_engine.NAME,
    "containerd.service",
    ANY_PORT,
    "loopback",
    "streams of containers",
    False,
)
CONTAINERS = Listener(
    container_engine.NAME, "docker.service", (30000, 31000), "agent", "apps in containers", False
)
# The kernel's server, on nodes that keep a volume for others.
NFS = Listener("nfs", "nfs-server.service", (2049, 2049), "any", "volumes of a node", False)
_TUNNELS = {
    "cache": "way to a Valkey with TLS or sentinels",
    "etcd": "way to an etcd with TLS",
}


def documented(facts: Facts) -> list[Listener]:
    """All listeners of a host with every component, and default ports."""
    every = _listeners(facts.components.values(), lambda c, what: c.ports[what])
    own = _listeners(facts.servers.values(), lambda server, what: server.ports[what])
    ways = (_tunnel(section) for section in _TUNNELS)
    return [*every, *own, _STREAMS, CONTAINERS, NFS, *ways]


def expected(ctx: Context) -> list[Listener]:
    """The listeners of this host, with the ports of its site file."""
    here = [ctx.facts.components[name] for name in ctx.facts.installed()]
    ours = _listeners(here, lambda c, what: ctx.port(c.name, what))
    tunneled = [_tunnel(route.section) for route in tunnels.routes(ctx.site)]
    if not ctx.node:
        return [*ours, *_own(ctx), *_containers(ctx), *tunneled]
    ours = [replace(x, bound=_shared(ctx, x.component, x.what, x.bound)) for x in ours]
    shares = [NFS] if exports.served(ctx) else []
    return [*ours, *_backing(ctx), *_containers(ctx), *shares, *tunneled]


def of_site(ctx: Context) -> list[Listener]:
    """What may be listened on at any host of the site, with the ports of its site file."""
    every = _listeners(ctx.facts.components.values(), lambda c, what: ctx.port(c.name, what))
    ways = (_tunnel(section) for section in _TUNNELS)
    return [*every, *_own(ctx), *_containers(ctx), NFS, *ways]


def _containers(ctx: Context) -> list[Listener]:
    """What the container engine of this host listens on."""
    used = container_engine.of(ctx.facts)
    apps = replace(CONTAINERS, unit=used.unit, ports=ctx.site.agent.container_ports)
    return [apps] if used.own else [_STREAMS, apps]


def bind(ctx: Context, component: str, what: str) -> str:
    """The address on which a component of this host listens."""
    return address(ctx, _shared(ctx, component, what, _bound(component, what)))


def _shared(ctx: Context, component: str, what: str, bound: str) -> str:
    """`bound`, but the node's address where other nodes need what a single host has on loopback."""
    exposed = layout.exposed(ctx.site, ctx.facts, component, what, ctx.node)
    return "agent" if bound == "loopback" and exposed else bound


def server_addresses(ctx: Context, server: str) -> list[str]:
    """Where a backing server of this host listens besides loopback: nowhere in a single host."""
    if ctx.node not in layout.serving(ctx.site, ctx.facts, server):
        return []
    shared = layout.server_exposed(ctx.site, ctx.facts, server)
    return [ctx.site.agent.address] if shared else []


def _backing(ctx: Context) -> list[Listener]:
    """The servers of this node: on loopback, and where other nodes need them."""
    found = []
    for listener in _own(ctx):
        name = listener.component
        if ctx.node in layout.serving(ctx.site, ctx.facts, name):
            found.append(listener)
        if listener.what != PEERS and server_addresses(ctx, name):
            found.append(replace(listener, bound="agent"))
    return found


def server_port(site: Site, server: Component, what: str) -> int:
    """The port on which a server of ours listens: the site file's, or its own default."""
    named = {
        ("postgresql", "sql"): site.database.members[0][1],
        ("valkey", "clients"): site.cache.port,
        ("etcd", "clients"): split_host_port(site.etcd.endpoints[0])[1],
    }
    return named.get((server.name, what), server.ports[what])


def _own(ctx: Context) -> list[Listener]:
    """Ports of the servers that the site brings along, on loopback."""
    servers = ctx.facts.servers.values()
    return _listeners(servers, lambda server, what: server_port(ctx.site, server, what))


def address(ctx: Context, bound: str) -> str:
    """The address that `bound` means at this site."""
    named = {
        "listen": ctx.site.network.listen,
        "agent": ctx.site.agent.address,
        "bridge": bridge.address(ctx),
        "any": WILDCARDS[0],
    }
    return named.get(bound, LOOPBACK)


def health_url(ctx: Context, component: Component) -> str:
    """Where the component says how it is: with the site's ports, its address, HTTPS if it has it.

    Empty if the component has no such place.
    """
    ports = {what: ctx.port(component.name, what) for what in component.ports}
    url = component.health.format(**ports)
    what = next((w for w in component.ports if f"{{{w}}}" in component.health), "")
    if (component.name, what) in FOR_USERS:
        url = url.replace(f"//{LOOPBACK}:", f"//{reachable(ctx.site.network.listen)}:")
        if ctx.site.tls.mode != "off":
            url = url.replace("http://", "https://", 1)
    return url


def reachable(listen: str) -> str:
    """The host of a URL by which this host reaches what listens on `listen`."""
    if listen in WILDCARDS:
        return LOOPBACK
    return bracketed(listen)


def table(listeners: Iterable[Listener]) -> str:
    """As a Markdown table."""
    rows = ["| port | service | what for | bound to |", "|---|---|---|---|"]
    for listener in listeners:
        first, last = listener.ports
        port = f"{first}-{last}" if last > first else str(first)
        port = "any" if listener.ports == ANY_PORT else port
        rows.append(
            f"| {port} | {listener.component} | {listener.what} | {BOUND[listener.bound]} |"
        )
    return "\n".join(rows) + "\n"


def _tunnel(section: str) -> Listener:
    port = tunnels.PORTS[section]
    return Listener("tunnel", tunnels.UNIT, (port, port), "loopback", _TUNNELS[section])


def _listeners(
    components: Iterable[Component], port: Callable[[Component, str], int]
) -> list[Listener]:
    made = []
    for component in components:
        if not component.unit:
            continue
        for what in component.ports:
            number = port(component, what)
            bound = _bound(component.name, what)
            made.append(Listener(component.name, component.unit, (number, number), bound, what))
        for ports, bound, what in _EXTRA.get(component.name, ()):
            made.append(Listener(component.name, component.unit, ports, bound, what))
    return made


def _bound(component: str, what: str) -> str:
    if (component, what) in FOR_USERS:
        return "listen"
    return "agent" if (component, what) in FOR_MANAGER else "loopback"
