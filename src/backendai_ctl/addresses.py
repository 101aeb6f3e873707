"""Where things are reached: URLs for browsers and clients, and URLs for the services themselves.

What users reach (listeners.FOR_USERS) has TLS unless the site file turns it off: a page that came
by HTTPS may not fetch from plain HTTP addresses. What stays on loopback has none.
"""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.listeners import FOR_USERS, LOOPBACK, reachable

_AUTHORITIES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
)


def tls_on(ctx: Context) -> bool:
    return ctx.site.tls.mode != "off"


def public_url(ctx: Context, component: str, what: str) -> str:
    """The URL by which browsers and clients reach what a component serves to users."""
    return _url(ctx, component, what, bracketed(ctx.site.site.address))


def internal_url(ctx: Context, component: str, what: str) -> str:
    """The URL by which the services of this host reach a component.

    With a certificate of the operator's it has to be the site's own address, which is in it.
    """
    if (component, what) not in FOR_USERS:
        return _url(ctx, component, what, LOOPBACK)
    if ctx.site.tls.mode == "own":
        return public_url(ctx, component, what)
    return _url(ctx, component, what, reachable(ctx.site.network.listen))


def service_environment(ctx: Context) -> dict[str, str]:
    """Environment of every service that no configuration file can hold. No secrets.

    PGSSL*: how asyncpg connects; SSL_CERT_FILE: authorities trusted besides the host's.
    """
    made = database_environment(ctx)
    if tls_on(ctx):
        made["SSL_CERT_FILE"] = str(ctx.paths.tls / "trust.crt")
    return made


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
    secure = tls_on(ctx) and (component, what) in FOR_USERS
    return f"{'https' if secure else 'http'}://{host}:{ctx.port(component, what)}"


def bracketed(host: str) -> str:
    """A host as it stands before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
