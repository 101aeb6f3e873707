"""The migration contract: a schema is at the release's head, or exactly what it was before.

One run at a time, by an advisory lock. An empty database is created, an older one is dumped and
migrated, a newer one refused. Whatever fails or is killed is taken back, at once or by the next
run: see marker.py for how that is known.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.database import dumps, inspect, marker, programs
from backendai_ctl.database.connection import Connection, LockTaken, connect
from backendai_ctl.database.databases import Target
from backendai_ctl.database.inspect import Found, clients, look
from backendai_ctl.database.reasons import reason
from backendai_ctl.database.revisions import Revisions
from backendai_ctl.database.revisions import read as read_revisions
from backendai_ctl.database.service import Service
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Database
from backendai_ctl.platform import deadline
from backendai_ctl.platform.run import Done

LOCK = (0x62616920, 1)  # pg_advisory_lock(int, int); upstream uses single numbers
LOCK_WAIT = 600  # seconds that we wait for another node's migration
SERVICE_START = 180  # seconds
LEAVE_WAIT = 15  # seconds in which the connections of stopped services end
_AGAIN = "backendai-ctl db migrate"


@dataclass(frozen=True)
class State:
    """How a database stands to the installed release.

    `kind`: head, behind, newer, empty, foreign (tables that are not Alembic's) or interrupted.
    """

    kind: str
    found: Found
    head: str
    pending: int = 0  # revisions to apply
    marker: marker.Marker | None = None


def assess(db: Connection, revisions: Revisions) -> State:
    """Look at a database; changes nothing."""
    found, under_way = look(db), marker.read(db)
    if under_way:
        return State("interrupted", found, revisions.head, marker=under_way)
    if found.empty:
        return State("empty", found, revisions.head)
    if found.revision is None:
        return State("foreign", found, revisions.head)
    if found.revision not in revisions:
        return State("newer", found, revisions.head)
    pending = len(revisions.pending(found.revision))
    return State("behind" if pending else "head", found, revisions.head, pending)


def refusal(target: Target, state: State) -> Problem | None:
    """Why this state cannot be migrated, None if it can."""
    ctx, found = target.ctx, state.found
    if state.kind == "foreign":
        return Problem(
            f"{target.where}: has {found.tables} tables but no schema revision: not made by "
            "Backend.AI, or cut off while another program made it",
            hint="name an empty database in the site file, or empty this one yourself",
        )
    if state.kind == "newer":
        dump = dumps.way_back(ctx, target.database.name, str(found.revision))
        hint = "install the newer packages again"
        if dump:
            hint += (
                f", or go back, losing what was written since: backendai-ctl db restore {dump.path}"
            )
        return Problem(
            f"{target.where}: is at revision {found.revision}, which Backend.AI "
            f"{ctx.facts.version} (revision {state.head}) does not know: it is newer",
            hint=hint,
        )
    return None


@contextmanager
def locked(target: Target) -> Iterator[Connection]:
    """A connection that has the lock; what a killed run left behind is ended and removed."""
    with connect(target) as db:
        lock(db)
        programs.clean(target.ctx)
        dumps.sweep(target.ctx, target.database.name)
        yield db


def lock(db: Connection) -> None:
    """Take the lock, waiting for whoever has it. Pending if that takes too long."""
    if not db.value("SELECT pg_try_advisory_lock($1, $2)", *LOCK):
        db.target.ctx.say(f"Wait for another migration of {db.target.where}")
        db.do(f"SET lock_timeout = '{LOCK_WAIT}s'")
        try:
            db.do("SELECT pg_advisory_lock($1, $2)", *LOCK)
        except LockTaken as error:
            raise Pending(
                f"{db.target.where}: another migration is going on",
                hint=f"wait, then run: {_AGAIN}",
            ) from error
        db.do("RESET lock_timeout")
    db.rows(
        "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid",
        [client.pid for client in clients(db) if client.ours],
    )


def alone(db: Connection) -> None:
    """Wait until nobody else is connected; Problem that names them if they stay."""
    until = time.monotonic() + LEAVE_WAIT
    while others := clients(db):
        if time.monotonic() > until:
            raise Problem(
                f"{db.target.where}: still in use by {', '.join(c.text for c in others)}",
                hint=f"stop them, on every node, then run: {_AGAIN}",
            )
        time.sleep(0.2)


def restore(db: Connection, dump: Path) -> None:
    """Replace all that is in the database by a dump, in one transaction; Problem if it fails."""
    target = db.target
    wrong = programs.verify(target.ctx, dump)
    if not wrong:
        with programs.programs(target) as run:
            wrong = run.load(marker.CLEAR, dump)
    if wrong:
        raise Problem(
            f"{target.where}: restoring {dump} failed: {wrong}",
            hint=f"fix the cause, then run: {_AGAIN}",
        )


def migrate(ctx: Context, database: Database) -> State:
    """Bring a database to the release's head; its state afterwards. Problem, and as before."""
    target = Target(ctx, database)
    revisions = read_revisions(target.scripts)
    with locked(target) as db:
        return Migration(db, revisions, Service(ctx, database)).run()


@dataclass(frozen=True)
class Migration:
    """One run, with the lock."""

    db: Connection
    revisions: Revisions
    service: Service

    def run(self) -> State:
        state = assess(self.db, self.revisions)
        if state.kind == "interrupted":
            self.service.note(state="settling")
            self.service.stop()
            self._settle()
            state = assess(self.db, self.revisions)
        if refused := refusal(self.db.target, state):
            raise refused
        if state.kind == "empty":
            self._create()
        elif state.kind == "behind" and self._unused():
            self._create_again(state)
        elif state.kind == "behind":
            self._upgrade(state)
        elif self.service.record().state not in ("done", "failed"):
            self.service.note(state="done")
        self.service.start()
        return assess(self.db, self.revisions)

    def _create(self) -> None:
        head = self.revisions.head
        self.service.note(state="creating", why="", origin="", target=head, dump="")
        self.service.stop()
        self._say(f"create the tables (revision {head})")
        with self._taken_back(), programs.programs(self.db.target) as run:
            marker.put(self.db, marker.creating(head))
            if words := self.db.target.database.create:
                self._finish(run.backend_ai([*words, "-f", str(run.ini())]))
            else:  # its revisions begin with an empty database
                self._finish(run.alembic("upgrade", "head"))

    def _unused(self) -> bool:
        """Whether it was made but never given its first rows: upstream cannot migrate that."""
        table = self.db.target.database.seeded
        return bool(table) and not self.db.value(f"SELECT EXISTS (SELECT FROM public.{table})")

    def _create_again(self, state: State) -> None:
        self._preflight(state.found)
        with self._taken_back(), programs.programs(self.db.target) as run:
            self._set_aside(run, state)
            self._say("it has no accounts: make its tables anew")
            self.db.do(marker.CLEAR)
        self._create()

    def _upgrade(self, state: State) -> None:
        self._preflight(state.found)
        with self._taken_back(), programs.programs(self.db.target) as run:
            dump = self._set_aside(run, state)
            alone(self.db)
            origin = state.found.revision
            self._say(f"migrate it, {state.pending} revisions: {origin} to {state.head}")
            marker.put(self.db, marker.migrating(look(self.db), self.revisions, dump))
            self.service.note(state="migrating")
            self._finish(run.alembic("upgrade", "head"))

    def _set_aside(self, run: programs.Programs, state: State) -> Path:
        """Stop the service and dump its database, once nobody uses it; where the dump is.

        Older dumps go at once, lest runs that fail pile them up.
        """
        ctx, name = self.db.target.ctx, self.db.target.database.name
        origin, head = str(state.found.revision), state.head
        dump = dumps.path(ctx, name, origin, head)
        self.service.note(state="stopping", why="", origin=origin, target=head, dump=str(dump))
        self.service.stop()
        alone(self.db)
        self._say(f"dump it to {dump}")
        self.service.note(state="dumping")
        dumps.make(run, dump)
        dumps.prune(ctx, name, dump)
        return dump

    def _preflight(self, found: Found) -> None:
        """What can be known to fail is found before anything is stopped."""
        ctx = self.db.target.ctx
        dumps.check_space(ctx.paths.backups, found.size)
        major, server = programs.dump_version(ctx), found.server // 10000
        if major < server:
            raise Problem(
                f"pg_dump is of version {major}, the server of {server}: it cannot be dumped",
                hint=f"install PostgreSQL's programs of version {server}",
            )

    def _finish(self, done: Done) -> None:
        """The head is what counts, whatever the program's exit status was."""
        head, revision = self.revisions.head, look(self.db).revision
        if revision != head:
            why = reason(done.stderr or done.stdout, done.returncode)
            raise Problem(
                f"{self.db.target.where}: at revision {revision}, not {head}: {why}",
                hint=f"fix the cause, then run: {_AGAIN}",
            )
        marker.remove(self.db)
        self.service.note(state="done")

    @contextmanager
    def _taken_back(self) -> Iterator[None]:
        """If the block fails: the database as it was, the reason in the record, the unit started."""
        try:
            yield
        except BaseException as error:
            why = str(error) or "its time was out"
            why = error.message if isinstance(error, Problem) else why
            try:
                with deadline.anew(programs.TIMEOUT):  # a restore, although time may be out
                    self.db.close()
                    self.db.open()
                    lock(self.db)
                    self._settle()
            except Problem as worse:
                with contextlib.suppress(Problem):
                    self.service.note(why=f"{why}; taking it back: {worse.message}")
                raise error from worse
            with contextlib.suppress(Problem), deadline.anew(SERVICE_START):
                self.service.note(state="failed", why=why)
                self.service.start()
            raise

    def _settle(self) -> None:
        """End a change that is under way: it is complete, never happened, or is taken back."""
        begun = marker.read(self.db)
        if begun is None:
            return
        self._wait_for_ours()
        found = look(self.db)
        if begun.kind == "creating":
            if found.revision != begun.target:
                self._say("remove the tables that were made in part")
                self.db.do(marker.CLEAR)
                return
        elif found.revision != begun.target and not begun.untouched(found):
            self._restore(begun)
            return
        marker.remove(self.db)

    def _restore(self, begun: marker.Marker) -> None:
        dump = Path(begun.dump)
        if not dump.is_file():
            raise Problem(
                f"{self.db.target.where}: a migration that {begun.node} began was cut off, and its "
                f"dump {dump} is not on this host",
                hint=f"run on {begun.node}: {_AGAIN}",
            )
        alone(self.db)
        self._say(f"restore it from {dump}")
        with contextlib.suppress(Problem):  # the disk may be full; what counts is in the database
            self.service.note(state="restoring")
        restore(self.db, dump)
        found = look(self.db)
        if (found.revision, found.fingerprint) != (begun.origin, begun.fingerprint):
            raise Problem(
                f"{self.db.target.where}: restored from {dump}, but its schema differs from before",
                hint=f"compare it with the dump before you run: {_AGAIN}",
            )

    def _wait_for_ours(self) -> None:
        until = time.monotonic() + LEAVE_WAIT
        while any(client.ours for client in inspect.clients(self.db)):
            if time.monotonic() > until:
                raise Pending(
                    f"{self.db.target.where}: the server still works on a migration that was cut off",
                    hint=f"wait, then run: {_AGAIN}",
                )
            time.sleep(0.2)

    def _say(self, text: str) -> None:
        self.db.target.ctx.say(f"{self.db.target.where}: {text}")
