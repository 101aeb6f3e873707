"""Scaling groups lead to this site's app proxy, so that users reach the apps of their sessions."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.proxy import address, token
from backendai_ctl.engine.base import Step
from backendai_ctl.services import serving
from backendai_ctl.topology import layout

# The site's own groups, and those that have no app proxy at all; others have one of their own.
_CONCERNED = """
FROM scaling_groups WHERE (name = ANY($1::text[]) OR wsproxy_addr IS NULL)
  AND (wsproxy_addr, wsproxy_api_token) IS DISTINCT FROM ($2::text, $3::text)
"""


class RegisterAppProxy(Step):
    """Address and token of the coordinator in the manager's database follow the site."""

    name = "register-app-proxy"
    title = "Register the app proxy"
    needs = ("create-secrets", "load-initial-data")
    components = ("manager",)
    timeout = 60

    def check(self, ctx: Context) -> list[Change]:
        with connect(of_manager(ctx)) as db:
            rows = db.rows(f"SELECT name {_CONCERNED} ORDER BY name", *_values(ctx))
        how = f"its app proxy is {address(ctx)}"
        return [Change(f"resource group {row['name']}", how) for row in rows]

    def apply(self, ctx: Context) -> None:
        with connect(of_manager(ctx)) as db:
            db.do(
                "UPDATE scaling_groups SET wsproxy_addr = $2, wsproxy_api_token = $3 "
                f"WHERE name IN (SELECT name {_CONCERNED})",
                *_values(ctx),
            )

    def undo(self, ctx: Context) -> None:
        if serving.at_rest(ctx, "postgresql"):
            return
        with connect(of_manager(ctx)) as db:
            db.do(
                "UPDATE scaling_groups SET wsproxy_addr = NULL, wsproxy_api_token = NULL "
                "WHERE wsproxy_addr = $1 AND wsproxy_api_token = $2",
                *_values(ctx)[1:],
            )


def _values(ctx: Context) -> tuple[list[str], str, str]:
    return layout.resource_groups(ctx.site, ctx.facts), address(ctx), token(ctx)
