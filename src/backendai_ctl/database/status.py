"""How the databases of a site stand, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backendai_ctl.context import Context
from backendai_ctl.database import dumps
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import Target
from backendai_ctl.database.migration import assess
from backendai_ctl.database.revisions import read
from backendai_ctl.database.service import Service
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Database

MIGRATE = "see: backendai-ctl db migrate --dry-run"


@dataclass(frozen=True)
class Row:
    """One database. `state`: head, behind, newer, empty, foreign, interrupted or unknown."""

    database: str
    where: str
    state: str
    revision: str | None = None
    head: str | None = None
    pending: int = 0
    size: int | None = None  # bytes
    last_dump: str | None = None
    message: str = ""  # of the last failure, or why the state is unknown
    hint: str = ""

    @property
    def error(self) -> Problem | None:
        """That it is not at the schema of the installed release; Pending if a migration is all it needs."""
        if self.state == "head":
            return None
        kind = Pending if self.state in ("behind", "empty") and not self.message else Problem
        return kind(f"{self.database}: {self.message or self.state}", hint=self.hint)


def rows(ctx: Context) -> list[Row]:
    """One row for every database whose component is on this host."""
    return [_row(ctx, one) for one in ctx.facts.databases() if ctx.here(one.component)]


def _row(ctx: Context, database: Database) -> Row:
    target = Target(ctx, database)
    newest = next((str(dump.path) for dump in dumps.found(ctx, database.name)), None)
    record = Service(ctx, database).record()
    failed = record.why if record.state != "done" else ""
    try:
        revisions = read(target.scripts)
        with connect(target) as db:
            state = assess(db, revisions)
    except Problem as problem:
        row = Row(database.name, target.where, "unknown", last_dump=newest)
        return replace(row, message=problem.message, hint=problem.hint)
    return Row(
        database=database.name,
        where=target.where,
        state=state.kind,
        revision=state.found.revision,
        head=state.head,
        pending=state.pending,
        size=state.found.size,
        last_dump=newest,
        message=failed if state.kind != "head" else "",
        hint="" if state.kind == "head" else MIGRATE,
    )
