"""Volumes that came to the site file later may be used by everybody, as the first ones."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import permits
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.engine.base import Step
from backendai_ctl.topology import layout


class PermitVolumes(Step):
    """Each is permitted once: what an administrator takes back stays so."""

    name = "permit-volumes"
    title = "Permit volumes"
    needs = ("load-initial-data",)
    components = ("manager",)
    timeout = 60

    def check(self, ctx: Context) -> list[Change]:
        with connect(of_manager(ctx)) as db:
            plan = permits.plan(db, layout.permitted_hosts(ctx.site, ctx.facts))
        return [
            *(
                Change(host, "permit it to domains, projects, keypair policies")
                for host in plan.give
            ),
            *(Change(host, "note that it was permitted") for host in plan.note),
            *(Change(host, "revoke what was permitted") for host in plan.take),
        ]

    def apply(self, ctx: Context) -> None:
        with locked(of_manager(ctx)) as db:
            permits.carry_out(db, layout.permitted_hosts(ctx.site, ctx.facts))

    def undo(self, ctx: Context) -> None:
        """Nothing: folders may be on them."""
