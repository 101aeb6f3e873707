"""Roles and databases are made once, only on a local server, and no password is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backendai_ctl.context import Context
from backendai_ctl.database import creation
from backendai_ctl.database.scram import matches, verifier
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform.run import Done
from backendai_ctl.site.schema import Database, Site
from backendai_ctl.steps.create_databases import CreateDatabases

STEP = CreateDatabases()


class Psql:
    """A server's roles and databases as psql tells them; keeps what it was given."""

    def __init__(self, ctx: Context) -> None:
        self.rows: list[str] = []
        self.given: list[str] = []
        self.argv: list[str] = []
        self.passwords = [
            ctx.secrets.get(f"database-{name}") for name in ("manager", "coordinator")
        ]

    def run(
        self, argv: tuple[str, ...], *, user: str, stdin: str, env: dict[str, str], timeout: float
    ) -> Done:
        self.argv += argv
        assert env["PGOPTIONS"] == "-c search_path=pg_catalog,pg_temp"
        assert user == "backendai-postgresql"
        if "pg_authid" in stdin:
            return Done(0, "\n".join(self.rows), "")
        self.given.append(stdin)
        return Done(0, "", "")

    def role(self, name: str, password: str, login: str = "t") -> None:
        self.rows.append(f"role\t{name}\t{verifier(password)}\t{login}")

    def database(self, name: str, owner: str, encoding: str = "UTF8", untouched: str = "f") -> None:
        self.rows.append(f"database\t{name}\t{owner}\t{encoding}\t{untouched}")

    def complete(self) -> None:
        for name, password in zip(("backendai", "backendai_appproxy"), self.passwords, strict=True):
            self.role(name, password)
            self.database(name, name)


@pytest.fixture
def psql(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Psql:
    for name in ("database-manager", "database-coordinator"):
        ctx.secrets.create(name)
    made = Psql(ctx)
    monkeypatch.setattr(creation, "run", made.run)
    return made


def test_an_empty_server_gets_all_and_never_a_password(ctx: Context, psql: Psql) -> None:
    STEP.apply(ctx)
    text = "\n".join(psql.given)
    assert text.count("CREATE ROLE") == text.count("CREATE DATABASE") == 2
    assert text.count("FROM PUBLIC") == 2
    for password in psql.passwords:
        assert password not in text + " ".join(psql.argv)
    stored = text.split("LOGIN PASSWORD '")[1].split("'")[0]
    assert matches(stored, psql.passwords[0])


def test_a_complete_server_needs_nothing(ctx: Context, psql: Psql) -> None:
    psql.complete()
    assert STEP.check(ctx) == []


def test_a_password_that_differs_is_set(ctx: Context, psql: Psql) -> None:
    psql.complete()
    psql.rows[0] = f"role\tbackendai\t{verifier('another')}\tt"
    [change] = STEP.check(ctx)
    assert change.what == "role backendai"
    STEP.apply(ctx)
    assert psql.given[0].startswith('ALTER ROLE "backendai" LOGIN PASSWORD')


def test_a_kill_between_creation_and_rights_is_mended(ctx: Context, psql: Psql) -> None:
    psql.complete()
    psql.rows[1] = "database\tbackendai\tbackendai\tUTF8\tt"
    assert [change.how for change in STEP.check(ctx)] == ["keep other roles out"]


@pytest.mark.parametrize(("owner", "encoding"), [("somebody", "UTF8"), ("backendai", "SQL_ASCII")])
def test_somebody_elses_database_is_refused(
    ctx: Context, psql: Psql, owner: str, encoding: str
) -> None:
    psql.complete()
    psql.rows[1] = f"database\tbackendai\t{owner}\t{encoding}\tf"
    with pytest.raises(Problem, match="is needed"):
        STEP.check(ctx)
    assert psql.given == []


def test_an_external_server_is_left_alone(ctx: Context, psql: Psql) -> None:
    external = Context(ctx.facts, Site(database=Database(mode="external")))
    assert STEP.check(external) == []
    STEP.undo(external)
    assert psql.argv == []


def test_odd_names_are_quoted(ctx: Context, psql: Psql) -> None:
    assert creation._name('a"; DROP') == '"a""; DROP"'


def test_a_server_that_is_down_is_pending(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "run", lambda *_, **__: Done(2, "", "no connection"))
    with pytest.raises(Pending, match="does not answer"):
        STEP.check(ctx)


def test_a_host_without_postgresql_is_pending(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> Done:
        raise KeyError("getpwnam(): name not found: 'backendai-postgresql'")

    monkeypatch.setattr(creation, "run", absent)
    with pytest.raises(Pending, match="not set up"):
        STEP.check(ctx)


def test_a_host_without_the_package_is_told_its_name(ctx: Context) -> None:
    none = Context(replace(ctx.facts, servers={}), ctx.site)
    with pytest.raises(Problem, match="backendai-postgresql is not installed"):
        STEP.check(none)


def test_our_own_programs_are_called_through_our_own_socket(ctx: Context, psql: Psql) -> None:
    """Whatever PostgreSQL this host has besides."""
    STEP.check(ctx)
    program = ctx.paths.servers / "postgresql/lib/postgresql/17/bin/psql"
    assert psql.argv[0] == str(program)
    assert f"--host={ctx.paths.run / 'postgresql'}" in psql.argv and "--port=8100" in psql.argv


def test_undo_asks_no_server(ctx: Context, psql: Psql) -> None:
    """Databases are data: they stay, or go with the folder of the server."""
    psql.complete()
    STEP.undo(ctx)
    assert psql.argv == psql.given == []
