"""What the site file says of users' sessions is in the manager's default policy."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import policy
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.engine.base import Step


class LimitSessions(Step):
    """Keys of the table [sessions] that are not in the site file are left to administrators."""

    name = "limit-sessions"
    title = "Set limits of sessions"
    needs = ("load-initial-data",)
    components = ("manager",)
    timeout = 60

    def check(self, ctx: Context) -> list[Change]:
        if not policy.wanted(ctx.site):
            return []
        with connect(of_manager(ctx)) as db:
            found = policy.differing(db, ctx.site)
        return [
            Change(f"default policy: {column}", f"from {had} to {value}")
            for column, (had, value) in found.items()
        ]

    def apply(self, ctx: Context) -> None:
        with locked(of_manager(ctx)) as db:
            policy.put(db, policy.differing(db, ctx.site))

    def undo(self, ctx: Context) -> None:
        """Nothing: sessions run by it."""
