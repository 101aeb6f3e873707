"""backendai-ctl db."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from backendai_ctl.change import Change
from backendai_ctl.cli.output import (
    complain,
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    need_root,
    show,
    table,
)
from backendai_ctl.context import Context
from backendai_ctl.database import backup as backups
from backendai_ctl.database import status as states
from backendai_ctl.database.databases import Target, named
from backendai_ctl.database.migration import migrate
from backendai_ctl.database.plan import plan
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import Database
from backendai_ctl.operations.reconfigure import exclusive, pending_flag, reconfigure
from backendai_ctl.platform import files
from backendai_ctl.platform.text import status_word
from backendai_ctl.steps.migrate_schema import name as migration_step
from backendai_ctl.steps.plan import steps

_OK = {"head": True, "behind": None, "empty": None}
_which = click.option(
    "--database",
    "which",
    metavar="NAME",
    help="Only this database, by its name in `db status`, such as manager.",
)


@click.group(**example("backendai-ctl db status"))
def command() -> None:
    """Databases of the components: state, migration, backup, restore."""


@command.command("status", **example("backendai-ctl db status --json"))
@json_option
@click.pass_context
def status(ctx: click.Context) -> None:
    """Show revision, state, size and last dump of every database.

    Exit status: 1 if a database cannot be used with the installed release; 3 if one is not migrated yet.
    """
    need_root()
    rows = states.rows(context(ctx))
    data = {row.database: {"ok": not row.error, **asdict(row)} for row in rows}
    errors = [row.error for row in rows if row.error]
    emit({"databases": data}, text=lambda console: _status(console, rows), errors=errors)


@command.command(
    "migrate", **example("backendai-ctl db migrate --dry-run\nbackendai-ctl db migrate")
)
@json_option
@dry_run_option
@_which
@click.pass_context
def migrate_(ctx: click.Context, dry_run: bool, which: str | None) -> None:
    """Bring the databases to the schema of the installed release.

    The service that uses a database is stopped, the database dumped to /var/backups/backendai,
    the dump verified, the schema migrated and the service started again. If a migration fails, the
    database is restored. On a configured host `reconfigure` is run afterwards if the service needs
    further steps before it can start.
    """
    need_root()
    found = context(ctx)
    planned: dict[str, list[Change]] = {}
    errors: list[Problem] = []

    with _changing(found, dry_run) as begin:
        for database in _chosen(found, which):
            try:
                changes = plan(found, database)
                if changes and not dry_run:
                    begin()
                    migrate(found, database)
                planned[database.name] = changes
            except Problem as problem:
                complain(problem)
                errors.append(problem)
        show(lambda console: _plan(console, planned, dry_run, bool(errors)))
        rows = {name: {"changes": list(map(asdict, todo))} for name, todo in planned.items()}
        if errors:
            emit({"databases": rows}, errors=errors)  # and the host stays flagged as pending
    if not dry_run:
        errors += _go_on(found, [named(found.facts, name) for name in planned if planned[name]])
    emit({"databases": rows}, errors=errors)


@command.command("backup", **example("backendai-ctl db backup --database manager"))
@json_option
@dry_run_option
@_which
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, with --database. Default: a new file in /var/backups/backendai.",
)
@click.pass_context
def backup(ctx: click.Context, dry_run: bool, which: str | None, output: Path | None) -> None:
    """Dump the databases while they are in use, and read the dumps back.

    These dumps are kept until you remove them.
    """
    need_root()
    if output and not which:
        raise BadRequest("--output is for one database", hint="add --database NAME")
    found = context(ctx)
    file = output and output.absolute()
    made = {
        database.name: str(backups.backup(found, database, file, dry_run=dry_run))
        for database in _chosen(found, which)
    }

    def text(console: Console) -> None:
        for name, path in made.items():
            console.print(f"{name}: would be dumped to {path}" if dry_run else path)

    emit({"dumps": made}, text=text)


@command.command(
    "restore", **example("backendai-ctl db restore /var/backups/backendai/NAME.dump --dry-run")
)
@json_option
@dry_run_option
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def restore(ctx: click.Context, dry_run: bool, file: Path) -> None:
    """Restore a database from the dump FILE. Everything written since then is lost.

    The present content is dumped first, so that you can go back. The service that uses the database
    is stopped, and started again if the dump has the schema of the installed release. On a configured
    host `reconfigure` is run afterwards if the service needs further steps before it can start.
    """
    need_root()
    found = context(ctx)
    with _changing(found, dry_run) as begin:
        done = backups.restore_file(found, file, dry_run=dry_run, begin=begin)
    data = asdict(done)
    if dry_run:
        data |= {"where": Target(found, named(found.facts, done.database)).where, "file": str(file)}

    def text(console: Console) -> None:
        if dry_run:
            first = f"be dumped to {done.before}, then " if done.before else ""
            console.print(f"{data['where']}: would {first}be as in {file}")
        else:
            _restored(console, done)

    show(text)
    errors: list[Problem] = []
    if not dry_run and done.at_head:
        errors = _go_on(found, [named(found.facts, done.database)])
    elif not dry_run:
        _note_behind(found, done)
    emit(data, errors=errors)


def _go_on(found: Context, changed: list[Database]) -> list[Problem]:
    """Have the services of databases run that could not before; why one of these still does not.

    A package that came meanwhile keeps its service down until its steps are done, and what `status`
    tells of is the last run of all steps.
    """
    journal = Journal(found.paths.ctl)
    if not journal.last() or not any(_waits(found, database, journal) for database in changed):
        return []
    try:
        unfinished = reconfigure(found).unfinished
    except Problem as refused:
        complain(refused)
        return [refused]
    bad = {name: outcome.error(f"not done yet: {name}") for name, outcome in unfinished.items()}
    for problem in bad.values():
        complain(problem)
    if not bad:
        show(lambda console: console.print("its services run"))
    concerned = {step.name: step.concerns(found.facts) for step in steps(found.facts)}
    ours = {database.component for database in changed}
    return [bad[name] for name in bad if not concerned[name] or ours & {*concerned[name]}]


def _waits(found: Context, database: Database, journal: Journal) -> bool:
    """Whether its service may not start, or the last run was not done."""
    flag = found.paths.ready(database.component)
    held_back = found.here(database.component) and not (files.read(flag) or "").strip()
    return held_back or any(row["state"] != "done" for row in journal.last()["steps"].values())


def _note_behind(found: Context, done: backups.Restored) -> None:
    """Let `status` tell of the schema that is older now, and of nothing that was before."""
    journal, database = Journal(found.paths.ctl), named(found.facts, done.database)
    steps_ = journal.last().get("steps")
    if not steps_:
        return
    what = f"{Target(found, database).where}: at revision {done.revision}, of an older release"
    rows = {name: Outcome(**row) for name, row in steps_.items()}
    journal.finish(
        {
            **rows,
            migration_step(database): Outcome("pending", what, "run: backendai-ctl db migrate"),
        }
    )


@contextmanager
def _changing(found: Context, dry_run: bool) -> Iterator[Callable[[], None]]:
    """Hold the lock of this host; gives what is to be called before anything is stopped.

    It flags the host as pending, for the next boot to finish what is killed here. The flag goes
    with the block's success, unless it was there before or packages renewed it meanwhile.
    """
    if dry_run:
        yield lambda: None
        return
    path = pending_flag(found)
    ours: tuple[int, int] | None = None

    def stamp() -> tuple[int, int]:
        now = path.stat()
        return now.st_ino, now.st_mtime_ns

    def begin() -> None:
        nonlocal ours
        with suppress(FileExistsError):
            path.touch(mode=0o644, exist_ok=False)
            files.sync_folder(path.parent)
            ours = stamp()

    with exclusive(found):
        yield begin
        if ours and path.exists() and stamp() == ours:
            path.unlink()


def _chosen(found: Context, which: str | None) -> list[Database]:
    if which:
        return [named(found.facts, which)]
    return [one for one in found.facts.databases() if found.here(one.component)]


def _status(console: Console, rows: list[states.Row]) -> None:
    shown = table("DATABASE", "STATE", "REVISION", "HEAD", "SIZE", "LAST DUMP")
    for row in rows:
        state = f"{row.pending} behind" if row.pending else row.state
        shown.add_row(
            row.database,
            status_word(state, _OK.get(row.state, False)),
            row.revision or "-",
            row.head or "-",
            f"{row.size / 1e6:.0f} MB" if row.size else "-",
            row.last_dump or "-",
        )
    console.print(shown)
    for row in rows:
        if row.message:
            console.print(f"{row.database}: {row.message}")


def _plan(console: Console, planned: dict[str, list[Change]], dry_run: bool, failed: bool) -> None:
    for changes in planned.values():
        for change in changes:
            console.print(f"{change}{'' if dry_run else ': done'}")
    if not any(planned.values()) and not failed:
        console.print("Nothing to do.")


def _restored(console: Console, done: backups.Restored) -> None:
    console.print(f"{done.database}: is at revision {done.revision}")
    if done.before:
        console.print(f"what was there before: {done.before}")
    if not done.at_head:
        console.print("its service stays stopped; go on with: backendai-ctl db migrate")
