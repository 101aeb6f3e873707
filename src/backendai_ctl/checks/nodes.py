"""Checks of a host that is one node of several: is it the one it should be, and are the others there?"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from functools import partial, wraps

from backendai_ctl.checks.services import SKEW
from backendai_ctl.context import Context
from backendai_ctl.nodes import announced
from backendai_ctl.platform.together import together
from backendai_ctl.probes import servers
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
from backendai_ctl.topology import here, layout, listeners

CONNECT = 3.0  # seconds
_CLOSED = "see there: backendai-ctl status; and: backendai-ctl node firewall"


def identity(ctx: Context) -> Result:
    """The host's name and packages fit the node that the site file describes."""
    node, name = ctx.node, here.host_name()
    results = []
    if name != node and name in ctx.site.nodes:
        hint = f"make {name} its host name again, or run: backendai-ctl node join FILE --force"
        results.append(warn(f"this host is called {name}, the name of another node", hint))
    lacking = layout.components_of(ctx.site, ctx.facts, node) - set(ctx.facts.installed())
    for role in ctx.site.nodes[node].roles:
        known = ctx.facts.roles[role]
        if absent := sorted(lacking & set(known.components)):
            hint = f"apt install {known.package}; then run: backendai-ctl reconfigure"
            results.append(fail(f"role {role} without {', '.join(absent)}", hint))
    return worst(results, fine=f"{node}: {', '.join(ctx.site.nodes[node].roles)}")


def _by_the_cache(look: Callable[[Context], Result]) -> Callable[[Context], Result]:
    """A look that asks the cache, which another check looks after."""

    @wraps(look)
    def asked(ctx: Context) -> Result:
        try:
            return look(ctx)
        except servers.FAILURES as failure:
            return warn(f"cache: {servers.reason(failure)}", "see the check of the cache")

    return asked


@_by_the_cache
def site_file(ctx: Context) -> Result:
    """This node was set up by the site file and the release that the management node has."""
    origin = layout.origin(ctx.site, ctx.facts)
    if ctx.node == origin:
        return skip("this node makes the site file")
    said = announced.told(ctx)
    if origin not in said:
        return skip(f"{origin} has not said which it has: run there backendai-ctl reconfigure")
    mine = {**said, ctx.node: announced.mine(ctx)}
    if wrong := announced.faults(ctx, ctx.node, mine):
        return warn("; ".join(wrong), announced.AGAIN.format(origin=origin, node=ctx.node))
    return ok(f"as on {origin}")


@_by_the_cache
def others(ctx: Context) -> Result:
    """On the node that exports: the others have joined, by its site file and its release."""
    origin = layout.origin(ctx.site, ctx.facts)
    if ctx.node != origin:
        return skip(f"{origin} looks after the others")
    said = announced.told(ctx)
    results = []
    for node in ctx.site.nodes:
        if node != origin and (wrong := announced.faults(ctx, node, said)):
            hint = announced.AGAIN.format(origin=origin, node=node)
            results.append(warn(f"{node} {', '.join(wrong)}", hint))
    return worst(results, fine=", ".join(ctx.site.nodes))


@_by_the_cache
def clock(ctx: Context) -> Result:
    """Against the host of the cache, which every node can ask."""
    before = time.time()
    there = announced.clock(ctx)
    after = time.time()
    skew = there - (before + after) / 2
    if abs(skew) > SKEW + (after - before):
        hint = "synchronise all clocks: apt install systemd-timesyncd, or name your own time server"
        return warn(f"the cache's host is {skew:+.0f} s from this one", hint)
    return ok(f"within {SKEW:.0f} s of the cache's host")


def reach(ctx: Context) -> Result:
    """Every port of another node that something here connects to."""
    wanted = list(needed(ctx))
    if not wanted:
        return ok("nothing here calls other nodes, but for the servers below")
    jobs = {f"{host}:{port}": partial(_connect, host, port) for _, _, _, (host, port) in wanted}
    said = together(jobs, timeout=CONNECT + 1, late="no answer in time")
    results = []
    for node, component, what, (host, port) in wanted:
        if wrong := said[f"{host}:{port}"]:
            # A site goes on without one of its compute nodes, and without figures and new images.
            beside = component in ctx.facts.servers and ctx.facts.servers[component].optional
            figures = layout.figures_asked(ctx.facts, component, what)
            missed = component == "agent" or beside or figures
            level: Callable[[str, str], Result] = warn if missed else fail
            saw = f"{node} {host}:{port} ({component}, {what}): {wrong}"
            results.append(level(saw, _CLOSED))
    return worst(results, fine=", ".join(f"{n} {c}" for n, c, _, _ in wanted))


def needed(ctx: Context) -> Iterator[tuple[str, str, str, tuple[str, int]]]:
    """Node, component, port's name, address and port, of all that components here connect to."""
    for (component, what), node in layout.called_by(ctx.site, ctx.facts, ctx.node):
        found = ctx.facts.services()[component]
        place = (ctx.site.nodes[node].address, listeners.port_of(ctx, found, what))
        yield node, component, what, place


def _connect(host: str, port: int) -> str:
    """Why it cannot be connected to; empty if it can."""
    try:
        socket.create_connection((host, port), timeout=CONNECT).close()
    except OSError as failure:
        return servers.reason(failure)
    return ""
