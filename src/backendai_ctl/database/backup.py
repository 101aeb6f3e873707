"""Dumping and restoring a database on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.database import dumps, programs
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import Target
from backendai_ctl.database.inspect import look
from backendai_ctl.database.marker import read as read_marker
from backendai_ctl.database.migration import alone, locked, restore
from backendai_ctl.database.revisions import read as read_revisions
from backendai_ctl.database.service import Service
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import Database


@dataclass(frozen=True)
class Restored:
    """What `restore_file` did, or would do."""

    database: str
    revision: str
    at_head: bool  # its service may run; otherwise it waits for `db migrate`
    before: Path | None  # the dump of what was there


def backup(
    ctx: Context, database: Database, output: Path | None = None, *, dry_run: bool = False
) -> Path:
    """Dump a database, verified, while it is in use; where the dump is.

    With dry_run whatever would be refused is refused, and nothing is done.
    """
    target = Target(ctx, database)
    with (connect if dry_run else locked)(target) as db:
        if read_marker(db):
            raise Problem(
                f"{target.where}: a change of its schema was cut off",
                hint="finish it first: backendai-ctl db migrate",
            )
        found = look(db)
        if found.empty:
            raise Problem(f"{target.where}: is empty", hint="there is nothing to back up")
        path = output or dumps.path(ctx, database.name, found.revision or "none", None)
        if path.exists():
            raise BadRequest(f"{path}: exists", hint="name another file")
        dumps.check_space(path.parent, found.size)
        if not dry_run:
            with programs.programs(target) as run:
                dumps.make(run, path)
    return path


def whose(ctx: Context, dump: Path) -> Database:
    """Which of the databases a dump is of; Problem if of none."""
    if not dump.is_file():
        raise BadRequest(f"{dump}: no such file", hint="see: backendai-ctl db status")
    listed = programs.contents(ctx, dump)
    for database in ctx.facts.databases():
        if f" TABLE public {database.landmark} " in listed:
            return database
    raise BadRequest(f"{dump}: not a dump of a database of Backend.AI", hint="name another one")


def restore_file(
    ctx: Context, dump: Path, *, dry_run: bool = False, begin: Callable[[], None] = lambda: None
) -> Restored:
    """Put a database back to a dump, in one transaction, after dumping what is there now.

    Refuses dumps that are damaged or newer than the release. `begin` is called before anything is
    stopped. With dry_run whatever would be refused is refused, and nothing is done.
    """
    dump = dump.absolute()
    database = whose(ctx, dump)
    target, service = Target(ctx, database), Service(ctx, database)
    revisions = read_revisions(target.scripts)
    revision = programs.revision(ctx, dump)
    if revision is None or revision not in revisions:
        raise Problem(
            f"{dump}: is of revision {revision}, which Backend.AI {ctx.facts.version} (revision "
            f"{revisions.head}) does not know",
            hint="install the packages it was made with",
        )
    if wrong := programs.verify(ctx, dump):
        raise Problem(f"{dump}: is damaged: {wrong}", hint="use another dump")
    with (connect if dry_run else locked)(target) as db:
        # However broken: it is about to be replaced.
        found, before = look(db, any_state=True), None
        if not found.empty:
            before = dumps.path(ctx, database.name, found.revision or "none", None)
            dumps.check_space(before.parent, found.size)
        done = Restored(database.name, revision, revision == revisions.head, before)
        if dry_run:
            return done
        begin()
        service.stop()
        try:
            alone(db)
            if before:
                with programs.programs(target) as run:
                    dumps.make(run, before)
            ctx.say(f"{target.where}: restore it from {dump}")
            restore(db, dump)
        except BaseException:
            service.start()
            raise
        if done.at_head:
            service.start()
    return done
