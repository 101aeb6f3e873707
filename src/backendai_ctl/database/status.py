"""How the databases of a site stand, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.database import dumps
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import ALL, Database, Target
from backendai_ctl.database.migration import assess
from backendai_ctl.database.revisions import read
from backendai_ctl.database.service import Service
from backendai_ctl.errors import Problem


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
    why: str = ""  # of the last failure, or why the state is unknown

    @property
    def well(self) -> bool:
        return self.state == "head" and not self.why


def rows(ctx: Context) -> list[Row]:
    """One row for every database whose component is on this host."""
    return [_row(ctx, database) for database in ALL if ctx.here(database.component)]


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
        why = problem.what
        return Row(database.name, target.where, "unknown", last_dump=newest, why=why)
    return Row(
        database=database.name,
        where=target.where,
        state=state.kind,
        revision=state.found.revision,
        head=state.head,
        pending=state.pending,
        size=state.found.size,
        last_dump=newest,
        why=failed if state.kind != "head" else "",
    )
