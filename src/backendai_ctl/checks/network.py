"""Checks of names, addresses and ports."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from backendai_ctl.checks.sockets import Socket, listening
from backendai_ctl.context import Context
from backendai_ctl.platform import files, resolv
from backendai_ctl.platform.names import resolve
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
from backendai_ctl.services import dropins
from backendai_ctl.site.values import WILDCARDS
from backendai_ctl.topology import bridge, container_engine, layout, listeners
from backendai_ctl.topology.here import is_here
from backendai_ctl.topology.listeners import Listener

HOSTS = Path("/etc/hosts")
_METADATA = re.compile(r'^metadata-server-bind-host = "([^"]+)"', re.MULTILINE)
_ALLOW = "IPAddressAllow="


def localhost(_ctx: Context) -> Result:
    """Services call each other by 127.0.0.1 and localhost; that must not hang on a DNS server."""
    lines = (line.partition("#")[0].split() for line in HOSTS.read_text("utf-8").splitlines())
    named = {words[0] for words in lines if "localhost" in words[1:]}
    if "127.0.0.1" in named:
        return ok(f"127.0.0.1, by {HOSTS}")
    found = resolve("localhost")
    hint = f"add to {HOSTS}: 127.0.0.1 localhost"
    if "127.0.0.1" in found:
        return warn(f"127.0.0.1, but not by {HOSTS}", hint)
    return fail(f"is {', '.join(found) or 'unknown'}", hint)


def own_name(_ctx: Context) -> Result:
    name = socket.gethostname()
    found = resolve(name)
    if found:
        return ok(f"{name} is {', '.join(found)}")
    return warn(f"{name} does not resolve", f"add to {HOSTS}: 127.0.1.1 {name}")


def site_address(ctx: Context) -> Result:
    address = ctx.site.site.address
    found = resolve(address)
    if not found:
        hint = "add it to your DNS or /etc/hosts, or change site.address"
        return fail(f"{address} does not resolve", hint)
    outside = [a for a in found if not ipaddress.ip_address(a).is_loopback]
    if outside and ipaddress.ip_address(ctx.site.network.listen).is_loopback:
        return warn(
            f"{address} is {', '.join(found)}, but network.listen is {ctx.site.network.listen}",
            "set network.listen to 0.0.0.0 or an address of this host",
        )
    return ok(f"{address} is {', '.join(found)}")


def apps_domain(ctx: Context) -> Result:
    """Name servers lead any name in the domain of apps to where the site's address leads."""
    domain = layout.apps_domain(ctx.site, ctx.facts, ctx.node)
    if not domain or not ctx.here("appproxy-worker"):
        return skip("apps have ports at the site's address")
    name = f"app-{secrets.token_hex(4)}.{domain}"
    found = resolve(name)
    here = resolve(layout.public_host(ctx.site, ctx.facts, ctx.node))
    if set(found) & set(here):
        return ok(f"{name} is {', '.join(found)}")
    saw = f"{name} is {', '.join(found)}, not {', '.join(here)}" if found else f"{name} is unknown"
    return warn(saw, f"have your name servers answer for *.{domain} as for the site's address")


def addresses(ctx: Context) -> Result:
    """The addresses that services are to listen on belong to this host."""
    listen = ctx.site.network.listen
    results = [ok(f"network.listen {listen}")]
    if not is_here(listen):
        hint = "name one of this host's, or 0.0.0.0; see: ip -brief address"
        results = [fail(f"network.listen: no interface here has {listen}", hint)]
    if ctx.here("agent"):
        results.append(_bridge(ctx))
    return worst(results, fine=", ".join(result.message for result in results))


def _bridge(ctx: Context) -> Result:
    """The agent starts only where the address that it was configured with is there."""
    start = f"start Docker, which makes it: systemctl start {container_engine.of(ctx.facts).unit}"
    named, has = ctx.site.agent.bridge, bridge.found(ctx)
    if named and not is_here(named):
        hint = f"Docker's bridge has {has}: name that, or leave agent.bridge out" if has else start
        return fail(f"agent.bridge: no interface here has {named}", hint)
    if not named and not has:
        return fail("Docker's bridge is not there", start)
    wanted = named or has
    text = files.read(ctx.paths.config / ctx.facts.components["agent"].config) or ""
    given = _METADATA.search(text)
    if given and given[1] != wanted:
        saw = f"Docker's bridge has {wanted}, the agent was configured with {given[1]}"
        return fail(saw, "run: backendai-ctl reconfigure")
    return ok(f"containers' bridge {wanted}")


def name_servers(ctx: Context) -> Result:
    """Units reach loopback and what they were given: without the servers of names no name resolves."""
    servers = resolv.nameservers()
    beyond = [server for server in servers if not ipaddress.ip_address(server).is_loopback]
    if not beyond:
        return ok(", ".join(servers) or "none: names are those of /etc/hosts")
    texts = [files.read(file) or "" for file in dropins.wanted(ctx)]
    allowed = [
        line.partition("=")[2] for text in texts for line in text.splitlines() if _ALLOW in line
    ]
    networks = [ipaddress.ip_network(network, strict=False) for network in allowed]
    closed = [
        server
        for server in beyond
        if not any(ipaddress.ip_address(server) in network for network in networks)
    ]
    if closed:
        saw = f"{', '.join(closed)} of {resolv.FILE}: not among what the services may reach"
        return fail(saw, "run: backendai-ctl reconfigure")
    return ok(", ".join(servers))


def ports(ctx: Context) -> Result:
    """Every port that a component of this host wants is free or its own."""
    wanted = listeners.numbered(_wanted(ctx))
    results = []
    taken: set[tuple[int, str]] = set()
    for found in _sockets():
        listener = next((w for w in wanted if _covers(w, found)), None)
        if listener is None or found.unit == listener.unit or not _collides(ctx, listener, found):
            continue
        if (found.port, found.holder) not in taken:
            taken.add((found.port, found.holder))
            results.append(
                fail(
                    f"{found.port} ({listener.component}, {listener.what}) is held by "
                    f"{found.holder}",
                    f"end it, or choose another port: [network.ports.{listener.component}]",
                )
            )
    return worst(results, fine=f"all {_count(wanted)} free, or held by whom they belong to")


def exposure(ctx: Context) -> Result:
    """No unit of ours listens beyond loopback except where that is documented."""
    if not ctx.facts.installed():
        return skip("no component on this host")
    expected = listeners.expected(ctx)
    ours = {ctx.facts.components[name].unit for name in ctx.facts.installed()}
    ours |= {ctx.facts.servers[name].unit for name in ctx.facts.optional()}
    results = []
    for found in _sockets():
        if found.loopback or found.unit not in ours:
            continue
        may = [x for x in expected if x.unit == found.unit and _covers(x, found)]
        if not any(listeners.address(ctx, x.bound) == found.address for x in may):
            hint = "keep it behind a firewall and report it"
            results.append(warn(f"{found.unit} on {found.address}:{found.port}", hint))
    return worst(results, fine="nothing beyond what is documented")


def _wanted(ctx: Context) -> Iterable[Listener]:
    """Listeners of this host's own units; before installation, those of every role."""
    if ctx.facts.installed():
        found = listeners.expected(ctx)
    else:
        brought = {name for role in ctx.facts.roles.values() for name in role.beside}
        left = {s.name for s in ctx.facts.servers.values() if s.optional} - brought
        found = [x for x in listeners.documented(ctx.facts) if x.component not in left]
    external = {
        "postgresql": ctx.site.database.mode,
        "valkey": ctx.site.cache.mode,
        "etcd": ctx.site.etcd.mode,
    }
    return [x for x in found if external.get(x.component) != "external" and x.always]


def _covers(listener: Listener, found: Socket) -> bool:
    return listener.ports[0] <= found.port <= listener.ports[1]


def _collides(ctx: Context, listener: Listener, found: Socket) -> bool:
    """Two sockets on one port get along if their addresses differ and neither is a wildcard."""
    wanted = listeners.address(ctx, listener.bound)
    return found.address == wanted or found.address in WILDCARDS or wanted in WILDCARDS


def _count(wanted: Iterable[Listener]) -> int:
    return sum(last - first + 1 for first, last in (listener.ports for listener in wanted))


@cache
def _sockets() -> tuple[Socket, ...]:
    return tuple(listening())  # once a run: it looks at every process
