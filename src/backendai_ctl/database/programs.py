"""PostgreSQL's and Backend.AI's programs at work on a database, as the account of its component.

Passwords reach them through files in a private folder, never by argv or environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from backendai_ctl.context import Context
from backendai_ctl.database.connection import primary
from backendai_ctl.database.databases import WORKER, Target
from backendai_ctl.database.pipes import bound, started
from backendai_ctl.database.reasons import SETTINGS, reason
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.platform.bound import Said
from backendai_ctl.platform.run import Done, run
from backendai_ctl.site.values import bracketed

TIMEOUT = 6 * 3600  # seconds, for a dump, a restore or a migration of a large database

_CHANGED = """\
import json, sys; from backendai_serve.__main__ import serve
program, calls = sys.argv[1:]
for words in json.loads(calls):
    try:
        serve([program, *words])
    except SystemExit as end:
        if end.code:
            raise
"""
_INI = """\
[alembic]
script_location = {scripts}
sqlalchemy.url = {url}
[loggers]
keys = root,alembic
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARN
handlers = console
[logger_alembic]
level = INFO
handlers =
qualname = alembic
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""


@dataclass(frozen=True)
class Programs:
    """Programs for one database, with a folder of their own."""

    target: Target
    folder: Path
    member: tuple[str, int]  # host and port of the server to work on: the primary

    def put(self, name: str, text: str) -> Path:
        """A file that the programs' account alone can read."""
        path = self.folder / name
        files.write(path, text, mode=0o600, owner=self.target.account)
        return path

    def ini(self) -> Path:
        """A configuration for Alembic, with the password in it."""
        target, (host, port) = self.target, self.member
        login = f"{quote(target.user, safe='')}:{quote(target.password, safe='')}"
        # The driver takes an application name from a DSN only; what is beside it wins.
        dsn = quote(f"postgresql:///?application_name={WORKER}", safe="")
        name = quote(target.dbname, safe="")
        url = f"postgresql+asyncpg://{login}@{bracketed(host)}:{port}/{name}?dsn={dsn}"
        text = _INI.format(scripts=target.database.scripts, url=url.replace("%", "%%"))
        return self.put("alembic.ini", text)

    def alembic(self, *words: str) -> Done:
        """Run Alembic of the installed release."""
        python = str(self.target.ctx.paths.python)
        # The answer to the one migration that asks a question (f8a71c3bffa2).
        answers = {"STRINGIFY_USERID_CHOICE": "a"}
        return self._run(python, "-I", "-m", "alembic", "-c", str(self.ini()), *words, env=answers)

    def backend_ai(self, *calls: Sequence[str], env: dict[str, str] | None = None) -> Done:
        """Run `backend.ai WORDS` for each call, until one fails, changed as services are.

        All in one process, for it takes seconds to start. Its exit status proves little: look at
        what it did.
        """
        paths = self.target.ctx.paths
        program = str(paths.current / "bin/backend.ai")
        python = [str(paths.python), "-I", "-c", _CHANGED]
        return self._run(*python, program, json.dumps(calls), env=env or {})

    def dump(self, out: IO[bytes]) -> str:
        """Write a dump of the database; what went wrong, or nothing."""
        said = Said()
        call = ["pg_dump", *self._connection(), "--format=custom", self.target.dbname]
        with self._started(call, said, stdout=out, env=self._libpq()) as process:
            return reason(said.all(), process.returncode) if process.wait(TIMEOUT) else ""

    def load(self, opening: str, dump: Path) -> str:
        """Run `opening`, then a dump, in one transaction; what went wrong, or nothing.

        psql meets the COMMIT only after the dump was read to its end without an error. Until
        then a failure or a kill of any of us leaves the database as it was.
        """
        ctx, said = self.target.ctx, Said()
        kept = [line for line in contents(ctx, dump).splitlines() if not _of_others(line)]
        read = _reading("--use-list", str(self.put("contents", "\n".join(kept) + "\n")))
        psql = ["psql", *self._connection(), f"--dbname={self.target.dbname}", "--no-psqlrc"]
        psql += ["--quiet", "--set=ON_ERROR_STOP=1", *SETTINGS, "--output=/dev/null", "--file=-"]
        pipe = subprocess.PIPE
        with (
            dump.open("rb") as archive,
            self._started(psql, said, stdin=pipe, env=self._libpq()) as writer,
            self._started(read, said, stdin=archive, stdout=pipe) as reader,
        ):
            assert reader.stdout and writer.stdin
            with contextlib.suppress(BrokenPipeError):  # psql stopped, and said why
                writer.stdin.write(f"BEGIN;\n{opening}\n".encode())
                shutil.copyfileobj(reader.stdout, writer.stdin, 1 << 20)
                if reader.wait(TIMEOUT) == 0:
                    writer.stdin.write(b"\nCOMMIT;\n")
                writer.stdin.close()
            reader.stdout.close()
            well = writer.wait(TIMEOUT) == 0 == reader.wait(TIMEOUT)
            return "" if well else reason(said.all(), writer.returncode or reader.returncode)

    def _connection(self) -> list[str]:
        host, port = self.member
        words = [f"--host={host}", f"--port={port}", f"--username={self.target.user}"]
        return [*words, "--no-password"]

    def _libpq(self) -> dict[str, str]:
        target, (host, port) = self.target, self.member
        fields = (host, str(port), target.dbname, target.user, target.password)
        escaped = (field.replace("\\", "\\\\").replace(":", "\\:") for field in fields)
        return {**target.libpq(), "PGPASSFILE": str(self.put("pgpass", ":".join(escaped) + "\n"))}

    def _started(
        self, call: Sequence[str], said: Said, **options: Any
    ) -> AbstractContextManager[subprocess.Popen[bytes]]:
        return started(self.target.ctx, call, said, account=self.target.account, **options)

    def _run(self, *argv: str, env: dict[str, str]) -> Done:
        home = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder)}
        call = bound(self.target.ctx, argv, self.target.account)
        return run(call, env={**self.target.libpq(), **home, **env}, timeout=TIMEOUT)


@contextmanager
def programs(target: Target) -> Iterator[Programs]:
    """Programs for a database, with a private folder until the block ends."""
    ctx, member = target.ctx, primary(target)
    parent = clean(ctx)
    folder = parent / f"{target.database.name}-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        with _held(parent, wait=True):
            files.make_folder(folder, mode=0o700, owner=target.account)
            stack.enter_context(_held(folder))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Programs(target, folder, member)


def clean(ctx: Context) -> Path:
    """Remove private folders, and the passwords in them, of runs that were killed; their parent."""
    parent = ctx.paths.run / "ctl"
    files.make_folder(parent, mode=0o711)
    with _held(parent, wait=True):
        for folder in parent.iterdir():
            with contextlib.suppress(OSError), _held(folder):
                shutil.rmtree(folder, ignore_errors=True)
    return parent


@contextmanager
def _held(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """A lock on a folder, which ends with us however we end. BlockingIOError if it is taken."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def contents(ctx: Context, dump: Path) -> str:
    """What a dump has in it, as pg_restore lists it; Problem if it is no dump."""
    return _extract(ctx, dump, ["pg_restore", "--list"])


def revision(ctx: Context, dump: Path) -> str | None:
    """The schema revision of a dumped database; None if it has none. Problem if it is no dump."""
    words = ("--data-only", "--schema=public", "--table=alembic_version")
    lines = iter(_extract(ctx, dump, _reading(*words)).splitlines())
    for line in lines:
        if line.startswith("COPY "):
            value = next(lines, "\\.")
            return None if value == "\\." else value
    return None


def verify(ctx: Context, dump: Path) -> str:
    """Read a dump to its last byte; what went wrong, or nothing."""
    said = Said()
    with (
        dump.open("rb") as archive,
        started(ctx, _reading(), said, stdin=archive, stdout=subprocess.DEVNULL) as process,
    ):
        return reason(said.all(), process.returncode) if process.wait(TIMEOUT) else ""


def dump_version(ctx: Context) -> int:
    """Major version of pg_dump: it dumps servers up to this one."""
    said = Said()
    with started(ctx, ["pg_dump", "--version"], said) as process:
        process.wait(30)
    words = said.all().split()
    return int(words[2].split(".")[0]) if len(words) > 2 and words[2][:1].isdigit() else 0


def _reading(*words: str) -> list[str]:
    """The call that writes the SQL of the dump on its standard input; owners stay out of it."""
    return ["pg_restore", "--no-owner", "--file=-", *words]


def _of_others(line: str) -> bool:
    """Whether an entry belongs to whoever made the extension, who need not be us."""
    return " COMMENT - EXTENSION " in line


def _extract(ctx: Context, dump: Path, call: list[str]) -> str:
    said = Said()
    with (
        dump.open("rb") as archive,
        started(ctx, call, said, stdin=archive, stdout=subprocess.PIPE) as process,
    ):
        out: bytes = process.communicate(timeout=TIMEOUT)[0]
    if process.returncode:
        why = reason(said.all(), process.returncode)
        raise Problem(f"{dump}: {why}", hint="use another dump")
    return out.decode("utf-8", "replace")
