"""Where the manager finds the app proxy's coordinator, and by what it is let in."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.topology.addresses import internal_url


def address(ctx: Context) -> str:
    """URL of the coordinator's API, for the manager alone; HTTPS where the site has TLS."""
    return internal_url(ctx, "appproxy-coordinator", "api")


def token(ctx: Context) -> str:
    return ctx.secrets.get("appproxy-api")
