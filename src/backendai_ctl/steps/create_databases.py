"""Make the roles and databases of the services; see backendai_ctl.database.creation."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database import creation
from backendai_ctl.engine.base import Step
from backendai_ctl.facts import Facts


class CreateDatabases(Step):
    """One role and one database each for manager and coordinator."""

    name = "create-databases"
    title = "Create the databases"
    needs = ("prepare-database",)
    timeout = 120

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return tuple(database.component for database in facts.databases())

    def check(self, ctx: Context) -> list[Change]:
        if ctx.site.database.mode != "local":
            return []
        return [change for change, _sql in creation.work(ctx)]

    def apply(self, ctx: Context) -> None:
        creation.create(ctx)

    def undo(self, ctx: Context) -> None:
        """Nothing: databases are data, and go with the folder of their server."""
