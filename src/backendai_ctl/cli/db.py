"""backendai-ctl db."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    mark,
    need_root,
    table,
)
from backendai_ctl.context import Context
from backendai_ctl.database import backup as backups
from backendai_ctl.database import status as states
from backendai_ctl.database.databases import ALL, Database, Target, named
from backendai_ctl.database.migration import migrate
from backendai_ctl.database.schema_step import plan
from backendai_ctl.errors import EXIT_FAILED, BadRequest, Problem
from backendai_ctl.reconfigure import exclusive, pending_mark, reconfigure
from backendai_ctl.steps.base import Change
from backendai_ctl.steps.journal import Journal, Outcome
from backendai_ctl.steps.plan import steps
from backendai_ctl.steps.services import ready_mark
from backendai_ctl.system import files

_GOOD = {"head": True, "behind": None, "empty": None}
_which = click.option(
    "--database",
    "which",
    type=click.Choice([database.name for database in ALL]),
    help="Only this one.",
)


@click.group(**example("backendai-ctl db status"))
def command() -> None:
    """Databases of the manager and of the app proxy's coordinator."""


@command.command("status", **example("backendai-ctl db status --json"))
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show revision, state, size and last dump of every database.

    Exit status 1 if one of them is not at the schema of the installed release.
    """
    need_root()
    rows = states.rows(context(ctx))
    data = {row.database: asdict(row) for row in rows}
    emit(data, as_json=as_json, text=lambda console: _status(console, rows))
    if not all(row.well for row in rows):
        ctx.exit(EXIT_FAILED)


@command.command(
    "migrate", **example("backendai-ctl db migrate --dry-run\nbackendai-ctl db migrate")
)
@json_option
@dry_run_option
@_which
@click.pass_context
def migrate_(ctx: click.Context, as_json: bool, dry_run: bool, which: str | None) -> None:
    """Bring the databases to the schema of the installed release.

    The service that uses a database is stopped, the database dumped to /var/backups/backendai,
    the dump verified, the schema migrated and the service started again. If anything fails the
    database is as it was before. On a configured host `reconfigure` follows where more is to be
    done before the service may run.
    """
    need_root()
    found = context(ctx)
    planned: dict[str, list[Change]] = {}
    failed: Problem | None = None
    with _changing(found, dry_run) as begin:
        for database in _chosen(found, which):
            try:
                changes = plan(found, database)
                if changes and not dry_run:
                    begin()
                    migrate(found, database)
                planned[database.name] = changes
            except Problem as problem:
                if failed:
                    click.echo(f"backendai-ctl: {failed}", err=True)
                failed = problem
        data = {name: [asdict(change) for change in changes] for name, changes in planned.items()}
        emit(
            {"dry_run": dry_run, "databases": data},
            as_json=as_json,
            text=lambda console: _plan(console, planned, dry_run, failed is not None),
        )
        if failed:
            raise failed
    if not dry_run and any(planned.values()):
        ctx.exit(_go_on(found, [named(name) for name in planned if planned[name]], as_json))


@command.command("backup", **example("backendai-ctl db backup --database manager"))
@json_option
@dry_run_option
@_which
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, with --database. A new one below /var/backups/backendai if left out.",
)
@click.pass_context
def backup(
    ctx: click.Context, as_json: bool, dry_run: bool, which: str | None, output: Path | None
) -> None:
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

    emit(made, as_json=as_json, text=text)


@command.command(
    "restore", **example("backendai-ctl db restore /var/backups/backendai/NAME.dump --dry-run")
)
@json_option
@dry_run_option
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def restore(ctx: click.Context, as_json: bool, dry_run: bool, file: Path) -> None:
    """Put a database back to what is in FILE; all that was written since is gone.

    What is there now is dumped first, so that this can be undone. The service that uses the
    database is stopped, and started again if the dump is of the installed release's schema; on a
    configured host `reconfigure` follows where more is to be done before it may run.
    """
    need_root()
    found = context(ctx)
    with _changing(found, dry_run) as begin:
        done = backups.restore_file(found, file, dry_run=dry_run, begin=begin)
    data = asdict(done)
    if dry_run:
        data |= {"where": Target(found, named(done.database)).where, "file": str(file)}

    def text(console: Console) -> None:
        if dry_run:
            first = f"be dumped to {done.before}, then " if done.before else ""
            console.print(f"{data['where']}: would {first}be as in {file}")
        else:
            _restored(console, done)

    emit(data, as_json=as_json, text=text)
    if dry_run:
        return
    if done.at_head:
        ctx.exit(_go_on(found, [named(done.database)], as_json))
    _note_behind(found, done)


def _go_on(found: Context, changed: list[Database], as_json: bool) -> int:
    """Have the services of databases run that could not before; the exit status.

    A package that came meanwhile keeps its service down until its steps are done, and what `status`
    tells of is the last run of all steps.
    """
    journal = Journal(found.paths.ctl)
    if not journal.last() or not any(_waits(found, database, journal) for database in changed):
        return 0
    bad = reconfigure(found).unfinished
    for name, outcome in bad.items():
        problem = Problem(f"not done yet: {name}: {outcome.what}", hint=outcome.hint)
        click.echo(f"backendai-ctl: {problem}", err=True)
    if not bad and not as_json:
        click.echo("its services run")
    concerned = {step.name: step.components for step in steps()}
    down = [
        database
        for database in changed
        if any(not concerned[n] or database.component in concerned[n] for n in bad)
    ]
    return EXIT_FAILED if down else 0


def _waits(found: Context, database: Database, journal: Journal) -> bool:
    """Whether its service may not start, or the last run was not done."""
    mark = ready_mark(found, database.component)
    held_back = found.here(database.component) and not (files.read(mark) or "").strip()
    return held_back or any(row["state"] != "done" for row in journal.last()["steps"].values())


def _note_behind(found: Context, done: backups.Restored) -> None:
    """Let `status` tell of the schema that is older now, and of nothing that was before."""
    journal, database = Journal(found.paths.ctl), named(done.database)
    steps_ = journal.last().get("steps")
    if not steps_:
        return
    what = f"{Target(found, database).where}: at revision {done.revision}, of an older release"
    step = f"migrate-{database.name}-schema"
    rows = {name: Outcome(**row) for name, row in steps_.items()}
    journal.finish({**rows, step: Outcome("pending", what, "run: backendai-ctl db migrate")})


@contextmanager
def _changing(found: Context, dry_run: bool) -> Iterator[Callable[[], None]]:
    """Hold the lock of this host; gives what is to be called before anything is stopped.

    It marks the host as pending, for the next boot to finish what is killed here. The mark goes
    with the block's success, unless it was there before or packages renewed it meanwhile.
    """
    if dry_run:
        yield lambda: None
        return
    path = pending_mark(found)
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
        return [named(which)]
    return [database for database in ALL if found.here(database.component)]


def _status(console: Console, rows: list[states.Row]) -> None:
    shown = table("DATABASE", "STATE", "REVISION", "HEAD", "SIZE", "LAST DUMP")
    for row in rows:
        state = f"{row.pending} behind" if row.pending else row.state
        shown.add_row(
            row.database,
            mark(state, _GOOD.get(row.state, False)),
            row.revision or "-",
            row.head or "-",
            f"{row.size / 1e6:.0f} MB" if row.size else "-",
            row.last_dump or "-",
        )
    console.print(shown)
    for row in rows:
        if row.why:
            console.print(f"{row.database}: {row.why}")


def _plan(console: Console, planned: dict[str, list[Change]], dry_run: bool, failed: bool) -> None:
    for changes in planned.values():
        for change in changes:
            console.print(f"{change.what}: {change.how}{'' if dry_run else ': done'}")
    if not any(planned.values()) and not failed:
        console.print("Nothing to do.")


def _restored(console: Console, done: backups.Restored) -> None:
    console.print(f"{done.database}: is at revision {done.revision}")
    if done.before:
        console.print(f"what was there before: {done.before}")
    if not done.at_head:
        console.print("its service stays stopped; go on with: backendai-ctl db migrate")
