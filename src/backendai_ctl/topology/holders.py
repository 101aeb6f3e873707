"""Who holds which of the site's secrets."""

from __future__ import annotations

from collections.abc import Iterator

from backendai_ctl.context import Context
from backendai_ctl.topology import layout


def needed(ctx: Context) -> list[str]:
    """Names of the secrets that are generated for this host, in a fixed order."""
    absent = set(_not_ours(ctx))
    return [name for name in ctx.facts.holders() if name not in absent]


def required(ctx: Context) -> list[str]:
    """Those without which this host cannot go on.

    The file of a node that joined when its release, or its role, did not have them lacks what only servers
    hold that the site does without: these wait for another.
    """
    optional = {name for name, one in ctx.facts.servers.items() if one.optional}
    holders = ctx.facts.holders()
    return [name for name in needed(ctx) if not (joined(ctx) and holders[name] <= optional)]


def of_nodes(ctx: Context) -> Iterator[tuple[str, str]]:
    """Node and secret of what this host makes for each other node alone: its services' logins."""
    if not ctx.node or joined(ctx) or not ctx.site.etcd.logins:
        return
    for node in ctx.site.nodes:
        if node != ctx.node:
            for name in sorted(layout.components_of(ctx.site, ctx.facts, node)):
                if secret := ctx.facts.components[name].etcd_secret:
                    yield node, secret


def joined(ctx: Context) -> bool:
    """Whether secrets and certificates of this host come from another node of the site."""
    return ctx.node != layout.origin(ctx.site, ctx.facts)


def _beside(ctx: Context, server: str) -> bool:
    """Whether a server that the site does without is for this host, or takes its secrets from it."""
    if not ctx.node:
        return server in ctx.facts.optional()
    return ctx.node in layout.running(ctx.site, ctx.facts, server) or not joined(ctx)


def _not_ours(ctx: Context) -> Iterator[str]:
    """Those that components elsewhere hold, or that the operator gave in a file."""
    site, facts = ctx.site, ctx.facts
    installed = set(facts.installed())
    yield from (
        component.etcd_secret
        for name, component in facts.components.items()
        if component.etcd_secret and not (site.etcd.logins and name in installed)
    )
    if ctx.node and not joined(ctx):  # it makes those of all nodes
        installed |= {c for n in site.nodes for c in layout.components_of(site, facts, n)}
    servers = {
        name for name, one in facts.servers.items() if not one.optional or _beside(ctx, name)
    }
    for name, holders in facts.holders().items():
        if not holders & (installed | servers):
            yield name
    if ctx.node and not installed & set(facts.using("valkey")):  # a single host has all
        yield "cache-password"
    for database in facts.databases():
        if site.database.of(database.name).password_file:
            yield database.secret
    if site.cache.password_file:
        yield "cache-password"
        yield from filter(None, (one.cache_secret for one in facts.components.values()))
    if site.cache.mode == "external":
        yield "cache-root-password"
    if site.etcd.mode == "external" or site.etcd.user is None:
        yield from ("etcd-root-password", "etcd-token")
