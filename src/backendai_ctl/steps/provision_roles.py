"""Domains, projects and accounts have the roles without which nobody but an administrator may act."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import roles
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import of_manager
from backendai_ctl.database.migration import locked
from backendai_ctl.database.populate import provision
from backendai_ctl.engine.base import Step


class ProvisionRoles(Step):
    """Those that are missing; what an operator made of a role stays."""

    name = "provision-roles"
    title = "Make the roles of domains, projects and users"
    needs = ("load-initial-data",)
    components = ("manager",)
    timeout = 300

    def check(self, ctx: Context) -> list[Change]:
        with connect(of_manager(ctx)) as db:
            if not roles.known(db):
                return [Change("roles", "make those that this release has presets for")]
            return [Change(f"roles in each {kind}", "make them") for kind in roles.missing(db)]

    def apply(self, ctx: Context) -> None:
        target = of_manager(ctx)
        with locked(target) as db:
            if roles.missing(db):  # unless another node was faster
                provision(target)
                roles.none_missing(db)

    def undo(self, ctx: Context) -> None:
        """Nothing: users have them."""
