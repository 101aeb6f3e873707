"""The site's own registry of images: where it is, and what it is called in names of images."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.site.values import LOOPBACK, bracketed
from backendai_ctl.topology import layout
from backendai_ctl.topology.listeners import port_of

NAME = "registry"
PORT = "http"
PROJECT = "stable"  # its images are named stable/...
USER = "backendai"  # logs in to pull
SECRET = "registry-password"


def nodes(ctx: Context) -> list[str]:
    """Nodes that have one, filled alike; all pull from the first."""
    return layout.running(ctx.site, ctx.facts, NAME)


def here(ctx: Context) -> bool:
    """Whether one runs on this host."""
    return NAME in ctx.facts.optional()


def secure(ctx: Context) -> bool:
    """Whether it has TLS: where it leaves loopback."""
    return bool(ctx.node)


def usable(ctx: Context) -> bool:
    """Whether nodes can trust it: a certificate of the operator's need not be for each node."""
    return (bool(nodes(ctx)) and ctx.site.tls.mode != "own") if ctx.node else here(ctx)


def host(ctx: Context) -> str:
    """HOST:PORT, by which the manager and the engines of nodes know it."""
    at = ctx.site.nodes[nodes(ctx)[0]].address if ctx.node else LOOPBACK
    return f"{bracketed(at)}:{port_of(ctx, ctx.facts.servers[NAME], PORT)}"


def url(ctx: Context) -> str:
    """Its URL."""
    return f"{'https' if secure(ctx) else 'http'}://{host(ctx)}"
