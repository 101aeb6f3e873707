"""The resource groups that the site file names for agents: a manager turns agents of others away."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.database import groups
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import MANAGER, Target
from backendai_ctl.database.migration import locked
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class CreateResourceGroups:
    """Those that are missing; what an operator made of a group stays."""

    name: str = "create-resource-groups"
    title: str = "Make resource groups"
    needs: tuple[str, ...] = ("load-initial-data",)
    components: tuple[str, ...] = ("manager",)
    limit: int = 60

    def check(self, ctx: Context) -> list[Change]:
        with connect(Target(ctx, MANAGER)) as db:
            missing = groups.missing(db, ctx.site, ctx.facts)
        how = f"make it like {ctx.site.agent.group}"
        return [Change(f"resource group {name}", how) for name in missing]

    def apply(self, ctx: Context) -> None:
        with locked(Target(ctx, MANAGER)) as db:
            for name in groups.missing(db, ctx.site, ctx.facts):
                groups.make(db, name, like=ctx.site.agent.group)

    def undo(self, ctx: Context) -> None:
        """Nothing: sessions may belong to them."""


STEP = CreateResourceGroups()
