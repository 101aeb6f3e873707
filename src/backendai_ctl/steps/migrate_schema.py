"""The databases of the components have the tables of this release: a step for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database.migration import migrate
from backendai_ctl.database.plan import plan
from backendai_ctl.database.programs import TIMEOUT
from backendai_ctl.engine.base import Step
from backendai_ctl.facts import MANAGER, Database, Facts


class MigrateSchema(Step):
    """Brings one database to the release's schema."""

    needs = ("create-secrets", "create-databases")
    timeout = 2 * TIMEOUT

    def __init__(self, database: Database) -> None:
        self.database = database
        # Constants of an object here: what differs is which database it is.
        self.name = name(database)  # type: ignore[misc]
        self.title = f"Bring the {database.name}'s database to this release's schema"  # type: ignore[misc]

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return (self.database.component,)

    def check(self, ctx: Context) -> list[Change]:
        return plan(ctx, self.database)

    def apply(self, ctx: Context) -> None:
        migrate(ctx, self.database)

    def undo(self, ctx: Context) -> None:
        """Nothing: tables are data."""


class MigrateManagerSchema(MigrateSchema):
    """Of the manager: its rows come next."""

    @classmethod
    def made_for(cls, facts: Facts) -> Iterable[Self]:
        return (cls(one) for one in facts.databases() if one.name == MANAGER)


class MigrateOtherSchema(MigrateSchema):
    """Of the other components: these are done while the manager starts."""

    @classmethod
    def made_for(cls, facts: Facts) -> Iterable[Self]:
        return (cls(one) for one in facts.databases() if one.name != MANAGER)


def name(database: Database) -> str:
    """Of the step that migrates a database."""
    return f"migrate-{database.name}-schema"
