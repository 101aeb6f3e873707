"""Where things are reached: URLs for browsers and clients, and URLs for the services themselves.

What users reach (`serves` of its facts) has TLS unless the site file turns it off: a page that came
by HTTPS may not fetch from plain HTTP addresses. What stays on loopback has none.
"""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.site.values import bracketed
from backendai_ctl.topology import layout, registry, tls_proxy
from backendai_ctl.topology.listeners import bind, reachable

_AUTHORITIES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
)


def tls_on(ctx: Context) -> bool:
    return ctx.site.tls.mode != "off"


def public_url(ctx: Context, component: str, what: str, node: str = "") -> str:
    """The URL by which browsers and clients reach what a component serves to users.

    `node`: the one on a certain node.
    """
    return _url(ctx, component, what, bracketed(layout.public_host(ctx.site, ctx.facts, node)))


def internal_url(ctx: Context, component: str, what: str, node: str = "") -> str:
    """The URL by which the services of this host reach a component, here or on its first node.

    With a certificate of the operator's it has to be the site's own address, which is in it.
    `node`: the one on a certain node.
    """
    at = node or _nearest(ctx, component)
    users = ctx.facts.for_users(component, what)
    if users and ctx.site.tls.mode == "own":
        return public_url(ctx, component, what, at)
    if at != ctx.node:
        return _url(ctx, component, what, bracketed(ctx.site.nodes[at].address))
    host = reachable(ctx.site.network.listen) if users else bracketed(bind(ctx, component, what))
    return _url(ctx, component, what, host)


def _nearest(ctx: Context, component: str) -> str:
    """The node whose component this host uses: itself, or the first that has it."""
    nodes = layout.running(ctx.site, ctx.facts, component)
    return ctx.node if ctx.node in nodes or not nodes else nodes[0]


def shared_cache_address(ctx: Context) -> str:
    """HOST:PORT of the cache as all nodes may use it: it goes into settings that they share."""
    host, port = tls_proxy.cache_address(ctx.site)
    if layout.server_exposed(ctx.site, ctx.facts, "valkey"):
        host = ctx.site.nodes[layout.serving(ctx.site, ctx.facts, "valkey")[0]].address
    return f"{bracketed(host)}:{port}"


def service_environment(ctx: Context) -> dict[str, str]:
    """Environment of every service that no configuration file can hold. No secrets.

    PGSSL*: how asyncpg connects; SSL_CERT_FILE: authorities trusted besides the host's.
    """
    made = database_environment(ctx)
    if tls_on(ctx) or (registry.secure(ctx) and registry.usable(ctx)):
        made["SSL_CERT_FILE"] = str(ctx.paths.tls / "trust.crt")
    return made


def trust_file(ctx: Context, component: str) -> Path:
    """What a service trusts besides the host's authorities: the manager those of other registries, too."""
    more = component == "manager" and any(one.ca for one in ctx.site.registries.values())
    return ctx.paths.tls / ("registries.crt" if more else "trust.crt")


def database_environment(ctx: Context) -> dict[str, str]:
    """How the site file wants PostgreSQL reached, for asyncpg and PostgreSQL's own programs."""
    database = ctx.site.database
    mode = {"off": "disable", "on": "require", "verify": "verify-full"}[database.tls]
    made = {"PGSSLMODE": mode}
    if database.tls == "verify":
        made["PGSSLROOTCERT"] = str(database.ca or host_authorities())
    return made


def host_authorities() -> Path:
    """The file of authorities that this host trusts: Debian's, or Enterprise Linux's."""
    return next((path for path in _AUTHORITIES if path.exists()), _AUTHORITIES[0])


def _url(ctx: Context, component: str, what: str, host: str) -> str:
    secure = tls_on(ctx) and ctx.facts.for_users(component, what)
    return f"{'https' if secure else 'http'}://{host}:{ctx.port(component, what)}"
