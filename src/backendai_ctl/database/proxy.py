"""Where the manager finds the app proxy's coordinator, and by what it is let in."""

from __future__ import annotations

from backendai_ctl.addresses import internal_url
from backendai_ctl.context import Context


def address(ctx: Context) -> str:
    """URL of the coordinator's API, for the manager alone."""
    if ctx.node:
        return internal_url(ctx, "appproxy-coordinator", "api")
    return f"http://127.0.0.1:{ctx.port('appproxy-coordinator', 'api')}"


def token(ctx: Context) -> str:
    return ctx.secrets.get("appproxy-api")
