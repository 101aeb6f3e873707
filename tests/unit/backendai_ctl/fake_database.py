"""A database, the programs that work on it and the unit that uses it, in memory, with their faults.

The code under test is the migration's own, with its SQL, its record, its dumps and the ready flag on the
disk. What happens is written down in `calls`, in order; at each of these moments the run can be killed,
the server can go away, or what is done can fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.database import dumps, marker, migration, programs
from backendai_ctl.database.connection import Connection, LockTaken
from backendai_ctl.database.databases import Database, Target
from backendai_ctl.database.migration import State
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform import files, systemd
from backendai_ctl.platform.run import Done

REVISIONS = ("a1", "b2", "c3")  # of the release, oldest first
HEAD = REVISIONS[-1]
OPEN = "fingerprint\n"  # what the ready flag of a service that may start holds


class Killed(BaseException):
    """The run is gone: nothing that it still tries has an effect."""


@dataclass
class Content:
    """What is in the database. `half`: the change of a revision that was applied in part."""

    revision: str | None = "a1"
    tables: int = 70
    rows: str = "yours"
    seeded: bool = True
    half: str = ""
    marker: dict[str, Any] | None = None

    @property
    def fingerprint(self) -> str:
        return f"schema of {self.revision} {self.half}"


@dataclass
class Client:
    """Somebody else who is connected, until looked at `stays` times; when ended, `lingers` more."""

    pid: int
    program: str = "psql"
    stays: float = float("inf")
    lingers: float = 0


@dataclass
class World:
    """The server, its programs and systemd. `faults`: what comes at the call of this number."""

    ctx: Context
    database: Database
    content: Content = field(default_factory=Content)
    clients: list[Client] = field(default_factory=list)
    taken: float = 0  # by somebody else: the lock, so many seconds
    commits: bool = False  # the release's scripts do not run in one transaction
    patience: str = ""  # lock_timeout
    size: int = 1000
    version: int = 170012
    pg_dump: int = 17
    active: bool = True  # the service
    calls: list[str] = field(default_factory=list)
    fault: Callable[[World, int, str], str | None] = lambda *_: None
    away: bool = False
    started: int = 0  # how often the server was started again: connections from before are lost
    dead: bool = False
    clock: float = 0.0

    # What the code under test calls.

    def happen(self, call: str, effect: Callable[[], object] = lambda: None) -> str:
        """Write a call down and do it; what went wrong instead, or nothing. Problem, Killed."""
        self.alive()
        self.calls.append(call)
        wrong = self.fault(self, len(self.calls) - 1, call)
        self.alive()
        if not wrong:
            effect()
        return wrong or ""

    def alive(self) -> None:
        if self.dead:
            raise Killed

    @contextmanager
    def connect(self, target: Target) -> Iterator[Connection]:
        connection = FakeConnection(self, target)
        connection.open()
        yield connection

    @contextmanager
    def programs(self, target: Target) -> Iterator[programs.Programs]:
        self.alive()
        yield FakePrograms(target, self.ctx.paths.run, ("127.0.0.1", 5432), self)

    def clean(self, _ctx: Context) -> None:
        assert "lock" in self.calls

    def verify(self, _ctx: Context, dump: Path) -> str:
        wrong = self.happen("verify")
        return wrong or ("" if dump.read_bytes().startswith(b"{") else "not a dump")

    def dump_version(self, _ctx: Context) -> int:
        return self.pg_dump

    def monotonic(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def systemctl(self, verb: str, *_: str) -> str:
        def act() -> None:
            self.active = verb == "start"

        if wrong := self.happen(f"systemctl {verb}", act):
            raise Problem(wrong)
        return ""

    def properties(self, *_: object) -> dict[str, str]:
        return {"ActiveState": "active" if self.active else "inactive"}

    def write(self, path: Path, data: str, **options: int) -> bool:
        """Writing a file: a call if it is the ready flag or changes the state in the record."""
        name = f"note {json.loads(data)['state']}" if path.suffix == ".json" else ""
        if path == self.ready:
            name = "let it start" if data else "keep it down"
        if wrong := self.happen(name or path.name, lambda: write(path, data, **options)):
            raise Problem(wrong)
        return True

    # What tests make of it, and look at.

    def release(self, *, commits: bool) -> None:
        """The scripts of the installed release; `commits`: they do not run in one transaction."""
        self.commits = commits
        package, _, folder = self.database.scripts.partition(":")
        packages = self.ctx.paths.current / "lib/python3.13/site-packages"
        scripts = packages / package.replace(".", "/") / folder / "versions"
        scripts.mkdir(parents=True, exist_ok=True)
        for before, name in zip((None, *REVISIONS), REVISIONS, strict=False):
            text = f"revision = '{name}'\ndown_revision = {before!r}\n"
            more = "op.execute('COMMIT')\n" if commits and name == "b2" else ""
            (scripts / f"{name}.py").write_text(text + more)

    @property
    def ready(self) -> Path:
        return self.ctx.paths.ready(self.database.component)

    @property
    def record(self) -> dict[str, Any]:
        path = self.ctx.paths.ctl / f"migration-{self.database.name}.json"
        found: dict[str, Any] = json.loads(files.read(path) or "{}")
        return found

    def run(self) -> State:
        """A run as `backendai-ctl db migrate` makes it, in a process of its own."""
        self.dead = self.away = False
        self.calls.clear()
        return migration.migrate(self.ctx, self.database)

    def put_marker(self, kind: str, origin: str = "", **more: object) -> None:
        """A change that a run began on this host, and did not end."""
        name = dumps.path(self.ctx, self.database.name, origin, HEAD) if origin else ""
        fields = marker.Marker(kind, origin, HEAD, str(name), "here", f"schema of {origin} ", True)
        self.content.marker = {**asdict(fields), **more}

    def dumped(self) -> Path:
        """The dump that the marker names, of what is there now."""
        assert self.content.marker
        path = Path(self.content.marker["dump"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**asdict(self.content), "marker": None}))
        return path


class FakeConnection(Connection):
    """Knows the statements of a migration; another one is a failure of the test."""

    def __init__(self, world: World, target: Target) -> None:
        self.world, self.target, self.member = world, target, target.members[0]
        self.since = -1

    def open(self) -> None:
        self.since = self.world.started
        self._ask()

    def close(self) -> None:
        self.since = -1

    def _ask(self) -> None:
        self.world.alive()
        if self.world.away or self.since != self.world.started:
            raise Pending("the server does not answer")

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("fetch", sql, *values)
        return found

    def _call(self, method: str, sql: str, *values: Any) -> Any:
        self._ask()
        for pattern, answer in _ANSWERS.items():
            if re.search(pattern, sql):
                return answer(self.world, *values)
        raise AssertionError(f"not known: {method} {sql}")


@dataclass(frozen=True)
class FakePrograms(programs.Programs):
    world: World

    def ini(self) -> Path:
        return Path("alembic.ini")

    def dump(self, out: IO[bytes]) -> str:
        said = json.dumps(asdict(self.world.content)).encode()
        return self.world.happen("dump", lambda: out.write(said))

    def load(self, opening: str, dump: Path) -> str:
        assert opening == marker.CLEAR

        def act() -> None:
            self.world.content = Content(**json.loads(dump.read_text()))

        return self.world.happen("load", act)

    def backend_ai(self, *calls: Sequence[str], env: dict[str, str] | None = None) -> Done:
        assert [*calls] == [[*self.target.database.create, "-f", "alembic.ini"]]
        return _done(self.world.happen("create", lambda: made(self.world)))

    def alembic(self, *words: str) -> Done:
        assert words == ("upgrade", "head")
        return _done(self.world.happen("upgrade", lambda: step(self.world, HEAD)))


def step(world: World, revision: str, half: str = "") -> None:
    """The schema goes to a revision, or into the midst of the one after it."""
    world.content.revision, world.content.half = revision, half
    if half:
        world.content.rows = "in part"


def made(world: World, revision: str | None = HEAD) -> None:
    """The tables are made; without a revision: in part."""
    tables = 70 if revision else 3
    world.content = Content(revision, tables, "", False, marker=world.content.marker)


def put(world: World, *values: Any) -> None:
    names = ("kind", "origin", "target", "dump", "node", "fingerprint", "whole")
    fields = dict(zip(names, values, strict=True))
    assert not world.content.marker, "two markers"
    _must(world, f"marker {fields['kind']}", lambda: setattr(world.content, "marker", fields))


def _must(world: World, call: str, effect: Callable[[], object]) -> None:
    if wrong := world.happen(call, effect):
        raise Problem(wrong)


def _lock(world: World, *_: Any) -> bool:
    if not world.taken:
        _must(world, "lock", lambda: None)
    return not world.taken


def _wait(world: World, *_: Any) -> None:
    assert world.patience == f"{migration.LOCK_WAIT}s", "it waits for ever"
    if world.taken > migration.LOCK_WAIT:
        raise LockTaken("canceling statement due to lock timeout")
    world.taken = 0
    _must(world, "lock", lambda: None)


def _end(world: World, pids: list[int]) -> list[dict[str, Any]]:
    for client in world.clients:
        if client.pid in pids:
            _must(world, f"end {client.pid}", lambda it=client: setattr(it, "stays", it.lingers))  # type: ignore
    return []


def _clients(world: World, _ours: str) -> list[dict[str, Any]]:
    there = [client for client in world.clients if client.stays > 0]
    for client in there:
        client.stays -= 1
    who = {"usename": "x", "address": None}
    return [{"pid": client.pid, "program": client.program, **who} for client in there]


_ANSWERS: dict[str, Callable[..., Any]] = {
    r"^SELECT pg_try_advisory_lock": _lock,
    r"^SELECT pg_advisory_lock": _wait,
    r"^RESET lock_timeout": lambda world: setattr(world, "patience", ""),
    r"^SET lock_timeout = '600s'": lambda world: setattr(world, "patience", "600s"),
    r"^SELECT pg_terminate_backend": _end,
    r"^SELECT to_regclass\(\$1\)": lambda world, _: world.content.marker is not None,
    r"^SELECT kind, origin": lambda world: [world.content.marker],
    r"^CREATE TABLE public\.backendai_ctl_change": put,
    r"^DROP TABLE IF EXISTS public\.backendai_ctl_change": lambda world: _must(
        world, "drop marker", lambda: setattr(world.content, "marker", None)
    ),
    r"^\nDO \$clear\$": lambda world: _must(
        world, "clear", lambda: setattr(world, "content", Content(None, 0, "", False))
    ),
    r"alembic_version'\) IS NOT NULL": lambda world: world.content.revision is not None,
    r"^SELECT version_num": lambda world: [{"version_num": world.content.revision}],
    r"count\(\*\) FROM pg_class": lambda world: world.content.tables,
    r"pg_database_size": lambda world: world.size,
    r"^\nWITH own AS": lambda world: world.content.fingerprint,
    r"server_version_num": lambda world: world.version,
    r"pg_stat_activity": _clients,
    r"^SELECT EXISTS \(SELECT FROM public\.users\)": lambda world: world.content.seeded,
}
read, write = files.read, files.write  # themselves


def _done(wrong: str) -> Done:
    return Done(1 if wrong else 0, "", f"x.SomeError: {wrong}" if wrong else "")


def install(monkeypatch: pytest.MonkeyPatch, ctx: Context, database: Database) -> World:
    """A host with a database that is two revisions behind, and its running service."""
    world = World(ctx, database)
    world.release(commits=False)
    write(world.ready, OPEN)
    monkeypatch.setattr(migration, "connect", world.connect)
    monkeypatch.setattr(migration, "time", world)
    for name in ("programs", "clean", "verify", "dump_version"):
        monkeypatch.setattr(programs, name, getattr(world, name))
    monkeypatch.setattr(dumps, "verify", world.verify)
    monkeypatch.setattr(files, "write", world.write)
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", world.systemctl)
    monkeypatch.setattr(systemd, "properties", world.properties)
    monkeypatch.setattr(marker.socket, "gethostname", lambda: "here")
    return world
