"""Roles and databases on the site's own PostgreSQL. Those of an external server are yours.

Works as PostgreSQL's administrator through its socket. A password never leaves this
process: the server is given what it would make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database.databases import Target, programs_folder
from backendai_ctl.database.reasons import SETTINGS, reason
from backendai_ctl.database.scram import matches, verifier
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform.run import run
from backendai_ctl.topology import layout

SERVER = "postgresql"
_SEARCH = "pg_catalog,pg_temp"  # the latter last: else its tables are found first
_START = "see: backendai-ctl logs postgresql; then run: backendai-ctl reconfigure"
_LOOK = """\
SELECT 'role', rolname, coalesce(rolpassword, ''), rolcanlogin FROM pg_authid;
SELECT 'database', datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding),
  datacl IS NULL FROM pg_database;
"""


@dataclass(frozen=True)
class Server:
    """What there is."""

    roles: dict[str, str]  # role -> stored password; empty: it cannot log in
    owners: dict[str, str]  # database -> role
    encodings: dict[str, str]
    untouched: frozenset[str]  # databases whose rights nobody set yet


def work(ctx: Context) -> list[tuple[Change, str]]:
    """What is missing, each with the SQL that makes it; Problem if a database there is another."""
    server = _look(ctx)
    todo = []
    for target in targets(ctx):
        todo += _role(target, server) + _database(target, server)
    return todo


def create(ctx: Context) -> None:
    """Make what is missing."""
    # One call each: CREATE DATABASE cannot be in a transaction, nor with other statements.
    for _change, sql in work(ctx):
        psql(ctx, sql)


def targets(ctx: Context) -> list[Target]:
    """Those of components here, and of components of other nodes that have no server themselves."""
    return [
        Target(ctx, database)
        for database in ctx.facts.databases()
        if ctx.here(database.component) or layout.running(ctx.site, ctx.facts, database.component)
    ]


def _role(target: Target, server: Server) -> list[tuple[Change, str]]:
    what, name = f"role {target.user}", _name(target.user)
    stored = server.roles.get(target.user)
    if stored is not None and matches(stored, target.password):
        return []
    secret = f"LOGIN PASSWORD '{verifier(target.password)}'"
    if stored is None:
        return [(Change(what, "create it"), f"CREATE ROLE {name} {secret};")]
    return [(Change(what, "set the password of the site"), f"ALTER ROLE {name} {secret};")]


def _database(target: Target, server: Server) -> list[tuple[Change, str]]:
    what, name, owner = f"database {target.dbname}", _name(target.dbname), _name(target.user)
    # Every role can connect to a new database.
    keep_out = f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
    private = (Change(what, "keep other roles out"), keep_out)
    if target.dbname not in server.owners:
        sql = f"CREATE DATABASE {name} OWNER {owner};"  # with the cluster's encoding and collation
        create = (Change(what, f"create it, owned by {target.user}"), sql)
        return [create, private]
    for found, right in (
        (server.owners[target.dbname], target.user),
        (server.encodings[target.dbname], "UTF8"),
    ):
        if found != right:
            raise Problem(
                f"{what} on the site's PostgreSQL: {found}, where {right} is needed",
                hint="name another database in the site file, or change this one by hand",
            )
    return [private] if target.dbname in server.untouched else []


def _look(ctx: Context) -> Server:
    rows = [line.split("\t") for line in psql(ctx, _LOOK).splitlines()]
    roles = {row[1]: row[2] if row[3] == "t" else "" for row in rows if row[0] == "role"}
    databases = [row for row in rows if row[0] == "database"]
    return Server(
        roles,
        owners={row[1]: row[2] for row in databases},
        encodings={row[1]: row[3] for row in databases},
        untouched=frozenset(row[1] for row in databases if row[4] == "t"),
    )


def psql(ctx: Context, sql: str, dbname: str = "postgres") -> str:
    """Run SQL as PostgreSQL's administrator; its rows, fields separated by tabs.

    A database belongs to its service, which may have named schemas of its own to be searched, with
    functions and operators in them: what we call is PostgreSQL's own, and nothing else is found.
    """
    port = ctx.site.database.members[0][1]
    call: Sequence[str] = (
        *(str(programs_folder(ctx) / "psql"), "--no-psqlrc", "--quiet", "--no-align"),
        *("--tuples-only", "--field-separator=\t"),
        *("--set=ON_ERROR_STOP=1", *SETTINGS, "--no-password", f"--port={port}"),
        *(f"--host={ctx.paths.run / SERVER}", f"--dbname={dbname}", "--file=-"),
    )
    env = {"PGOPTIONS": f"-c search_path={_SEARCH}"}
    try:
        done = run(call, user=ctx.facts.servers[SERVER].user, stdin=sql, env=env, timeout=60)
    except LookupError as error:
        raise Pending(
            "the site's own PostgreSQL was not set up on this host", hint=_START
        ) from error
    if done.returncode == 2:  # psql: no connection
        raise Pending(
            f"the site's PostgreSQL (port {port}) does not answer: "
            f"{reason(done.stderr, done.returncode)}",
            hint=_START,
        )
    if done.returncode:
        why = reason(done.stderr, done.returncode)
        raise Problem(f"PostgreSQL refused: {why}", hint="see: backendai-ctl logs postgresql")
    return done.stdout


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
