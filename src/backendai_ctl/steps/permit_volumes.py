"""Volumes that came to the site file later may be used by everybody, as the first ones."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.database import permits
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import MANAGER, Target
from backendai_ctl.database.migration import locked
from backendai_ctl.nodes import layout
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class PermitVolumes:
    """Each is permitted once: what an administrator takes back stays so."""

    name: str = "permit-volumes"
    title: str = "Permit volumes"
    needs: tuple[str, ...] = ("load-initial-data",)
    components: tuple[str, ...] = ("manager",)
    limit: int = 60

    def check(self, ctx: Context) -> list[Change]:
        with connect(Target(ctx, MANAGER)) as db:
            plan = permits.plan(db, layout.permitted_hosts(ctx.site, ctx.facts))
        return [
            *(
                Change(host, "permit it to domains, projects, keypair policies")
                for host in plan.give
            ),
            *(Change(host, "note that it was permitted") for host in plan.note),
            *(Change(host, "take back what was permitted") for host in plan.take),
        ]

    def apply(self, ctx: Context) -> None:
        with locked(Target(ctx, MANAGER)) as db:
            permits.carry_out(db, layout.permitted_hosts(ctx.site, ctx.facts))

    def undo(self, ctx: Context) -> None:
        """Nothing: folders may be on them."""


STEP = PermitVolumes()
