"""What a migration would do."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database.connection import NotMade, connect
from backendai_ctl.database.databases import Target
from backendai_ctl.database.migration import assess, refusal
from backendai_ctl.database.revisions import read
from backendai_ctl.database.service import Service
from backendai_ctl.facts import Database


def plan(ctx: Context, database: Database) -> list[Change]:
    """What `migrate` would do. Pending if the server is away, Problem if it would refuse."""
    target = Target(ctx, database)
    revisions = read(target.scripts)
    created = Change(target.where, f"create its tables (revision {revisions.head})")
    try:
        with connect(target) as db:
            state = assess(db, revisions)
    except NotMade:
        if ctx.site.database.mode == "local":
            return [created]  # by then create-databases has made it
        raise
    if refused := refusal(target, state):
        raise refused
    record = Service(ctx, database).record()
    if state.kind == "empty":
        return [created]
    if state.kind == "behind":
        how = f"migrate from revision {state.found.revision} to {state.head}"
        return [Change(target.where, f"{how} ({state.pending} revisions), after a dump")]
    if state.kind == "interrupted":
        return [Change(target.where, "undo or finish an interrupted change, then migrate")]
    if record.ran or record.mark:
        return [Change(target.where, "is at this release's schema: let its service start again")]
    return []
