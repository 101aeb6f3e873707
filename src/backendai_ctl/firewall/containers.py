"""Where containers of this host may not go: Docker gives what they send on this host's own address.

To an NFS server, to a database and to another node it would come from this node, whom they trust. So
it goes to none of them, but for the ports that serve users: who may start a session may use those. The
rules look where packets arrive, before Docker rewrites where they go: what would be forwarded and what
is for this host itself is told apart by its address alone, and a port that Docker publishes is still
itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.firewall.ranges import ports
from backendai_ctl.platform.names import resolve_all
from backendai_ctl.site import backends
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import is_address, split_host_port
from backendai_ctl.topology import layout, listeners, shared, tls_proxy

CHAIN = "containers"
_RULES = "from_containers"
INTERFACES = Path("/sys/class/net")
# Whoever may mount by his address: also of servers that the site file does not name.
_NFS = "111, 2049"


@dataclass(frozen=True)
class Closed:
    """Addresses that containers must not reach. `names`: those of host names, for the next time."""

    nodes: tuple[str, ...]
    others: tuple[str, ...]  # servers and networks
    opened: tuple[tuple[str, int], ...]  # but these, by the operator's wish
    names: Mapping[str, tuple[str, ...]]


def closed(ctx: Context, known: Mapping[str, tuple[str, ...]]) -> Closed:
    """What the site file says is closed. `known`: addresses that names had before.

    Pending if a name never had one: left out, it would be open.
    """
    nodes, servers = list(layout.addresses(ctx.site)), list(servers_of(ctx.site))
    wished = [split_host_port(text) for text in ctx.site.agent.open_to_sessions]
    names = sorted({h for h in (*nodes, *servers, *(h for h, _ in wished)) if not is_address(h)})
    found = {name: tuple(sorted(got)) for name, got in resolve_all(names).items()}
    found = {name: got or tuple(known.get(name, ())) for name, got in found.items()}
    if lacking := [name for name, got in found.items() if not got]:
        raise Pending(
            f"{', '.join(lacking)}: has no address, so nothing keeps sessions from it",
            hint="make it known (DNS, /etc/hosts), or name an IP address in the site file; then run: "
            "backendai-ctl reconfigure",
        )
    return Closed(
        nodes=_beyond_loopback(nodes, found),
        others=(*_beyond_loopback(servers, found), *ctx.site.agent.closed_to_sessions),
        opened=tuple((a, port) for host, port in wished for a in found.get(host, (host,))),
        names=found,
    )


def servers_of(site: Site) -> list[str]:
    """Hosts of all servers that the site file names, whoever of the site uses them."""
    found = [*tls_proxy.outside(site), *(h for r in tls_proxy.routes(site) for h in r.hosts)]
    found += backends.hosts(site)
    for volume in site.storage.volumes.values():
        if volume.kind == "nfs" and volume.server and not shared.server_node(site, volume):
            found.append(volume.server)
    return list(dict.fromkeys(host.strip("[]") for host in found))


def chain(ctx: Context, wanted: Closed) -> list[str]:
    """The chain as lines for nft; it uses the sets nodes4, nodes6, closed4 and closed6."""
    every = listeners.numbered(listeners.of_site(ctx))
    # Of the app proxy's workers the apps alone: no session opens an app.
    carriers = ctx.facts.carriers()
    users = [
        x
        for x in every
        if x.bound == "listen"
        and (x.component not in carriers or x.what in ctx.facts.components[x.component].opens)
    ]
    # Other applications of this host keep their ports, which the site has on other nodes perhaps.
    here = listeners.numbered(listeners.expected(ctx))
    own = ports(x.ports for x in here if x not in users and x.bound != "bridge")
    served = ports(x.ports for x in users)
    lines = [
        f"  chain {_RULES} {{",
        # What others began goes on: apps of sessions, and whatever a container answers to this host.
        "    ct direction reply tcp flags & (syn | ack) == syn drop",  # which is no answer
        "    ct direction reply accept",
        "    ct state related accept",
        *of_nodes(),  # such as a virtual machine behind a bridge
        *(f"    {_family(a)} daddr {a} tcp dport {port} accept" for a, port in wanted.opened),
        "    tcp dport 53 accept",  # containers are told the name servers of the host
        "    udp dport 53 accept",
        f"    fib daddr type local tcp dport {{ {_NFS} }} drop",
        f"    fib daddr type local udp dport {{ {_NFS}, {ctx.site.agent.cluster_port} }} drop",
        *([f"    fib daddr type local tcp dport {{ {own} }} drop"] if own else []),
        "    fib daddr type local accept",
        # Containers of one bridge are each other's business: bridged packets come by here as well.
        "    fib daddr . iif oif exists accept",
        f"    tcp dport {{ {_NFS} }} drop",
        f"    udp dport {{ {_NFS} }} drop",
        f"    ip daddr @nodes4 tcp dport {{ {served} }} accept",
        f"    ip6 daddr @nodes6 tcp dport {{ {served} }} accept",
    ]
    for version in (4, 6):
        family = _FAMILIES[version]
        lines += [f"    {family} daddr @nodes{version} drop"]
        lines += [f"    {family} daddr @closed{version} drop"]
    lines += ["  }", f"  chain {CHAIN} {{"]
    lines.append("    type filter hook prerouting priority mangle; policy accept;")
    if cabled := bridges_with_a_cable():
        lines.append(f"    iifname {{ {', '.join(cabled)} }} accept")
    # Not `!= "bridge" accept`: loopback and network cards have no kind, and match neither.
    lines.append(f'    meta iifkind "bridge" jump {_RULES}')
    return [*lines, "  }"]


def of_nodes() -> list[str]:
    """Accept what comes by the way to the node from which it comes, and not from who says to be one."""
    return [
        f"    {family} saddr @nodes{version} fib saddr . iif oif exists accept"
        for version, family in _FAMILIES.items()
    ]


def bridges_with_a_cable() -> list[str]:
    """Bridges of this host's own, with a network card, a bond or a VLAN in them: no container's."""
    found = []
    for bridge in sorted(INTERFACES.glob("*/bridge")):
        ends = [INTERFACES / end.name for end in bridge.parent.glob("brif/*")]
        if any((end / "device").exists() or any(end.glob("lower_*")) for end in ends):
            found.append(f'"{bridge.parent.name}"')
    return found


_FAMILIES = {4: "ip", 6: "ip6"}


def _family(address: str) -> str:
    return _FAMILIES[ipaddress.ip_address(address).version]


def _beyond_loopback(hosts: Iterable[str], names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found = {address for host in hosts for address in names.get(host, (host,))}
    return tuple(sorted(a for a in found if not ipaddress.ip_address(a).is_loopback))
