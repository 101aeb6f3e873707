"""The site's own registry of images: where it is, and what it is called in names of images."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import LOOPBACK, bracketed
from backendai_ctl.topology import layout
from backendai_ctl.topology.listeners import port_of, server_port

NAME = "registry"
PORT = "http"
PROJECT = "stable"  # its images are named stable/...
FIRST = "python"  # its image for whoever chooses none
USER = "backendai"  # logs in to pull
SECRET = "registry-password"


def nodes(ctx: Context) -> list[str]:
    """Nodes that have one, filled alike; all pull from the first."""
    return layout.running(ctx.site, ctx.facts, NAME)


def here(ctx: Context) -> bool:
    """Whether one runs on this host."""
    return NAME in ctx.facts.optional()


def secure(ctx: Context) -> bool:
    """Whether the one that all pull from has TLS: it has where it leaves loopback."""
    first = nodes(ctx)[:1]
    return bool(first) and layout.exposed(ctx.site, ctx.facts, NAME, PORT, first[0])


def first(ctx: Context) -> bool:
    """Whether this host is the one from whose registry all pull."""
    return here(ctx) and (not ctx.node or ctx.node in nodes(ctx)[:1])


def usable(ctx: Context) -> bool:
    """Whether nodes can trust it: a certificate of the operator's need not be for each node."""
    return (bool(nodes(ctx)) and ctx.site.tls.mode != "own") if ctx.node else here(ctx)


def host(ctx: Context) -> str:
    """HOST:PORT, by which the manager and the engines of nodes know it."""
    at = ctx.site.nodes[nodes(ctx)[0]].address if secure(ctx) else LOOPBACK
    return f"{bracketed(at)}:{port_of(ctx, ctx.facts.servers[NAME], PORT)}"


def hosts(site: Site, facts: Facts) -> set[str]:
    """HOST:PORT of every one, from its own host and from others; nodes use one of these."""
    if NAME not in facts.servers:
        return set()
    port = server_port(site, facts.servers[NAME], PORT)
    at = [site.nodes[name].address for name in layout.running(site, facts, NAME)]
    return {f"{bracketed(host)}:{port}" for host in (LOOPBACK, *at)}


def url(ctx: Context) -> str:
    """Its URL."""
    return f"{'https' if secure(ctx) else 'http'}://{host(ctx)}"


def default_image(ctx: Context) -> str:
    """The image, of its newest tag, that forms have set; "" where the site has none of its own."""
    own = f"{host(ctx)}/{PROJECT}/{FIRST}" if usable(ctx) else ""
    return ctx.site.sessions.default_image or own
