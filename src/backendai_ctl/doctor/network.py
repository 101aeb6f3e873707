"""Checks of names, addresses and ports."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from backendai_ctl import listeners
from backendai_ctl.context import Context
from backendai_ctl.doctor.report import Result, fail, ok, skip, warn, worst
from backendai_ctl.doctor.sockets import Socket, listening
from backendai_ctl.listeners import ANY_PORT, Listener
from backendai_ctl.nodes.here import is_here
from backendai_ctl.system.names import resolve

HOSTS = Path("/etc/hosts")
_INSTANCE = re.compile(r"@[^.]*\.")


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


def addresses(ctx: Context) -> Result:
    """The addresses that services are to listen on belong to this host."""
    wanted = {"network.listen": ctx.site.network.listen}
    if ctx.here("agent"):
        wanted["agent.bridge"] = ctx.site.agent.bridge
    results = []
    for key, address in wanted.items():
        if is_here(address):
            results.append(ok(f"{key} {address}"))
        else:
            hint = "start Docker: it makes the bridge" if key == "agent.bridge" else "ip address"
            results.append(fail(f"{key}: no interface here has {address}", f"see: {hint}"))
    return worst(results, fine=", ".join(result.saw for result in results))


def ports(ctx: Context) -> Result:
    """Every port that a component of this host wants is free or its own."""
    wanted = [listener for listener in _wanted(ctx) if listener.ports != ANY_PORT]
    results = []
    taken: set[tuple[int, str]] = set()
    for found in _sockets():
        listener = next((w for w in wanted if _covers(w, found)), None)
        if listener is None or _holds(listener, found) or not _collides(ctx, listener, found):
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
    """Listeners of this host's own units; before installation, those of every component."""
    found = listeners.expected(ctx) if ctx.facts.installed() else listeners.documented(ctx.facts)
    external = {
        "postgresql": ctx.site.database.mode,
        "valkey": ctx.site.cache.mode,
        "etcd": ctx.site.etcd.mode,
    }
    return [x for x in found if external.get(x.component) != "external" and x.always]


def _covers(listener: Listener, found: Socket) -> bool:
    return listener.ports[0] <= found.port <= listener.ports[1]


def _holds(listener: Listener, found: Socket) -> bool:
    """Whether the socket belongs to the listener's unit, or another instance of its template."""
    return _INSTANCE.sub("@.", found.unit) == _INSTANCE.sub("@.", listener.unit)


def _collides(ctx: Context, listener: Listener, found: Socket) -> bool:
    """Two sockets on one port get along if their addresses differ and neither is a wildcard."""
    wanted = listeners.address(ctx, listener.bound)
    wildcards = listeners.WILDCARDS
    return found.address == wanted or found.address in wildcards or wanted in wildcards


def _count(wanted: Iterable[Listener]) -> int:
    return sum(last - first + 1 for first, last in (listener.ports for listener in wanted))


@cache
def _sockets() -> tuple[Socket, ...]:
    return tuple(listening())  # once a run: it looks at every process
