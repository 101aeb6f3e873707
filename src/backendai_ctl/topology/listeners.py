"""Every TCP port that may be listened on at a host of a site, and where it is bound.

Ports of components and servers are facts of the release; only what none declares is a table here.
`docs/SECURITY.md` shows the result, `ss -ltn` on a host must show nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from backendai_ctl.context import Context
from backendai_ctl.facts import CERTIFICATE, CONTAINERS, NODES, USERS, Component, Facts, OwnServer
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import LOOPBACK, WILDCARDS, bracketed, split_host_port
from backendai_ctl.topology import bridge, container_engine, layout, places, tls_proxy

ANY_PORT = (0, 0)  # chosen by the kernel
PEERS = "peers"  # the port of a server's other members, which no node needs

BOUND = {  # what the tables of the documentation call it
    "loopback": "loopback",
    "listen": "`network.listen`",
    "bridge": "`agent.bridge`",
    "agent": "`agent.address`",
    "any": "every address",
}
# Where a port is bound, by who comes to it: users by TLS, unless the site file turns it off.
_BOUND_FOR = {USERS: "listen", NODES: "agent", CONTAINERS: "bridge"}


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


# The container engine, where an agent is: the host's own, for ours has no containerd that listens.
_STREAMS = Listener(
    container_engine.NAME,
    "containerd.service",
    ANY_PORT,
    "loopback",
    "streams of containers",
    False,
)
SESSIONS = Listener(
    container_engine.NAME, "docker.service", (30000, 31000), "agent", "apps in containers", False
)
# The kernel's server, on nodes that keep a volume for others.
NFS = Listener("nfs", "nfs-server.service", (2049, 2049), "any", "volumes of a node", False)
ON_REQUEST = {("agent", "sftp")}  # where the site file says so
_PROXIED = {
    "cache": "way to a Valkey with TLS or sentinels",
    "etcd": "way to an etcd with TLS",
}


def documented(facts: Facts) -> list[Listener]:
    """All listeners of a host with every component, and default ports."""
    every = _listeners(facts.components.values(), lambda c, what: c.ports[what])
    own = _listeners(facts.servers.values(), lambda server, what: server.ports[what])
    ways = (_proxied(section) for section in _PROXIED)
    return [*every, *own, _STREAMS, SESSIONS, NFS, *ways]


def expected(ctx: Context) -> list[Listener]:
    """The listeners of this host, with the ports of its site file."""
    here = [ctx.facts.components[name] for name in ctx.facts.installed()]
    here += [ctx.facts.servers[name] for name in ctx.facts.optional()]
    ours = _listeners(here, lambda c, what: port_of(ctx, c, what))
    proxied = [_proxied(route.section) for route in tls_proxy.routes(ctx.site)]
    if not ctx.node:
        return [*ours, *_own(ctx), *_containers(ctx), *proxied]
    ours = [replace(x, bound=_shared(ctx, x.component, x.what, x.bound)) for x in ours]
    shares = [NFS] if places.served(ctx) else []
    return [*ours, *_backing(ctx), *_containers(ctx), *shares, *proxied]


def of_site(ctx: Context) -> list[Listener]:
    """What may be listened on at any host of the site, with the ports of its site file."""
    known = [*ctx.facts.components.values(), *(s for s in _servers(ctx) if s.optional)]
    every = _listeners(known, lambda c, what: port_of(ctx, c, what))
    ways = (_proxied(section) for section in _PROXIED)
    return [*every, *_own(ctx), *_containers(ctx), NFS, *ways]


def _containers(ctx: Context) -> list[Listener]:
    """What the container engine of this host listens on."""
    used = container_engine.of(ctx.facts)
    apps = replace(SESSIONS, unit=used.unit, ports=ctx.site.agent.container_ports)
    return [apps] if used.own else [_STREAMS, apps]


def numbered(found: Iterable[Listener]) -> list[Listener]:
    """Those whose port is known beforehand."""
    return [listener for listener in found if listener.ports != ANY_PORT]


def bind(ctx: Context, component: str, what: str) -> str:
    """The address on which a component of this host listens."""
    return address(
        ctx, _shared(ctx, component, what, _bound(ctx.facts.services()[component], what))
    )


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


def port_of(ctx: Context, component: Component, what: str) -> int:
    """The port on which a component or a server of ours listens."""
    if isinstance(component, OwnServer):
        return server_port(ctx.site, component, what)
    return ctx.port(component.name, what)


def server_port(site: Site, server: Component, what: str) -> int:
    """The port on which a server of ours listens: the site file's, or its own default."""
    named = {
        ("postgresql", "sql"): site.database.members[0][1],
        ("valkey", "clients"): site.cache.port,
        ("etcd", "clients"): split_host_port(site.etcd.endpoints[0])[1],
    }
    default = site.network.ports.get(server.name, {}).get(what, server.ports[what])
    return named.get((server.name, what), default)


def _own(ctx: Context) -> list[Listener]:
    """Ports of the servers that a site cannot do without, on loopback."""
    needed = [server for server in _servers(ctx) if not server.optional]
    return _listeners(needed, lambda server, what: server_port(ctx.site, server, what))


def _servers(ctx: Context) -> Iterable[OwnServer]:
    return ctx.facts.servers.values()


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
    """Where a component or a server of this host says how it is; empty if it does so nowhere."""
    return _url(ctx, component, component.health)


def metrics_url(ctx: Context, component: Component) -> str:
    """Where a component or a server of this host shows its figures; empty if it has none."""
    return _url(ctx, component, component.metrics)


def _url(ctx: Context, component: Component, declared: str) -> str:
    """As it is at this site: with its ports, its address, HTTPS if it has it."""
    url = declared.format(**{what: port_of(ctx, component, what) for what in component.ports})
    what = port_named(component, declared)
    if not what:
        return url
    users = component.serves.get(what) == USERS
    listen = ctx.site.network.listen if users else bind(ctx, component.name, what)
    url = url.replace(f"{LOOPBACK}:", f"{reachable(listen)}:")
    nodes = isinstance(component, OwnServer) and CERTIFICATE in component.credentials
    secure = (nodes and listen != LOOPBACK) or (users and ctx.site.tls.mode != "off")
    return url.replace("http://", "https://", 1) if secure else url


def port_named(component: Component, declared: str) -> str:
    """Which of the component's ports a URL of its facts names; empty: none."""
    return next((what for what in component.ports if f"{{{what}}}" in declared), "")


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


def _proxied(section: str) -> Listener:
    port = tls_proxy.PORTS[section]
    return Listener("tls-proxy", tls_proxy.UNIT, (port, port), "loopback", _PROXIED[section])


def _listeners(
    components: Iterable[Component], port: Callable[[Component, str], int]
) -> list[Listener]:
    made = []
    for component in components:
        if not component.unit:
            continue
        for what in component.ports:
            number = port(component, what)
            bound = _bound(component, what)
            always = (component.name, what) not in ON_REQUEST
            found = Listener(component.name, component.unit, (number, number), bound, what, always)
            made.append(found)
        for what, (first, last, who) in component.opens.items():
            bound = _BOUND_FOR[who]
            made.append(Listener(component.name, component.unit, (first, last), bound, what))
    return made


def _bound(component: Component, what: str) -> str:
    return _BOUND_FOR.get(component.serves.get(what, ""), "loopback")
