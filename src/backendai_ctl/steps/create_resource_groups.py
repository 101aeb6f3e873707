"""The resource groups that the site file names for agents: a manager turns agents of others away."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import groups
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.engine.base import Step


class CreateResourceGroups(Step):
    """Those that are missing; what an operator made of a group stays."""

    name = "create-resource-groups"
    title = "Make resource groups"
    needs = ("load-initial-data",)
    components = ("manager",)
    timeout = 60

    def check(self, ctx: Context) -> list[Change]:
        with connect(of_manager(ctx)) as db:
            missing = groups.missing(db, ctx.site, ctx.facts)
        how = f"make it like {ctx.site.agent.group}"
        return [Change(f"resource group {name}", how) for name in missing]

    def apply(self, ctx: Context) -> None:
        with locked(of_manager(ctx)) as db:
            for name in groups.missing(db, ctx.site, ctx.facts):
                groups.make(db, name, like=ctx.site.agent.group)

    def undo(self, ctx: Context) -> None:
        """Nothing: sessions may belong to them."""
