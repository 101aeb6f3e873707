"""Which databases there are, where this site has them and what upstream calls their tools."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.credentials import database_password
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import MANAGER, Database, Facts
from backendai_ctl.probes import servers
from backendai_ctl.site.schema import DatabaseOf
from backendai_ctl.site.values import is_address
from backendai_ctl.topology import layout
from backendai_ctl.topology.addresses import database_environment

# What our own connections call themselves, and those of the programs that we start to work on a
# database: whoever has the lock may end the latter, which a killed run left behind.
APPLICATION = "backendai-ctl"
WORKER = "backendai-ctl-work"


def named(facts: Facts, name: str) -> Database:
    """The database of that name, BadRequest if there is none."""
    known = {database.name: database for database in facts.databases()}
    if name not in known:
        raise BadRequest(f"no database {name!r}", hint=f"one of: {', '.join(known)}")
    return known[name]


def of_manager(ctx: Context) -> Target:
    """The manager's database, in whose rows a site is set up."""
    return Target(ctx, named(ctx.facts, MANAGER))


def programs_folder(ctx: Context) -> Path:
    """Where PostgreSQL's programs are, such as pg_dump: in the package that the site brings along.

    Problem if this release has none.
    """
    server = ctx.facts.servers.get("postgresql")
    if server is None:
        raise Problem(
            "backendai-postgresql is not installed on this host",
            hint="install it: apt install backendai-postgresql",
        )
    return ctx.paths.servers / server.name / server.bin


def callers(ctx: Context) -> Iterator[tuple[str, str, str]]:
    """(database, role, network) of every other node that logs in to this host's PostgreSQL."""
    if ctx.site.database.mode != "local":
        return
    for target in (Target(ctx, database) for database in ctx.facts.databases()):
        for node in layout.running(ctx.site, ctx.facts, target.database.component):
            if node != ctx.node:
                where = ctx.site.nodes[node].address
                bits = 128 if ":" in where else 32
                source = f"{where}/{bits}" if is_address(where) else where
                yield target.dbname, target.user, source


@dataclass(frozen=True)
class Target:
    """A database where this site has it. Not to be printed: it can tell the password."""

    ctx: Context
    database: Database

    @property
    def members(self) -> list[tuple[str, int]]:
        """Host and port of every server that may have it: one of them is the primary."""
        return self.ctx.site.database.members

    @property
    def dbname(self) -> str:
        return self._given.name or self.database.default

    @property
    def user(self) -> str:
        return self._given.user or self.database.default

    @property
    def password(self) -> str:
        return database_password(self.ctx, self.database)

    @cached_property
    def account(self) -> tuple[int, int]:
        """UID and GID by which programs work on it: its component's, the manager's, else the site's."""
        known = self.ctx.facts.components
        wanted = (self.database.component, MANAGER)
        found = accounts.numbers(known[name] for name in wanted if name in known)
        return next((found[name] for name in wanted if name in found), None) or self.ctx.owner

    @property
    def _given(self) -> DatabaseOf:
        """What the site file says of it."""
        return self.ctx.site.database.of(self.database.name)

    @property
    def where(self) -> str:
        """For people."""
        return f"database {self.dbname} on {','.join(f'{h}:{p}' for h, p in self.members)}"

    @property
    def tls(self) -> ssl.SSLContext | Literal[False]:
        try:
            return servers.client_tls(self.ctx.site.database) or False
        except OSError as error:
            raise Problem(
                f"{self.ctx.site.database.ca}: {error}", hint="see database.ca in the site file"
            ) from error

    def libpq(self) -> dict[str, str]:
        """Environment that makes programs connect as we do; asyncpg heeds it as well."""
        return {
            **database_environment(self.ctx),
            "PGAPPNAME": WORKER,
            "PGCONNECT_TIMEOUT": "15",
        }

    @property
    def scripts(self) -> Path:
        """Folder with the Alembic scripts of the installed release."""
        package, _, folder = self.database.scripts.partition(":")
        tail = f"{package.replace('.', '/')}/{folder}/versions"
        for found in self.ctx.paths.current.glob(f"lib/python3*/site-packages/{tail}"):
            return found
        raise Problem(
            f"{self.ctx.paths.current}: no database scripts of {self.database.component} in it",
            hint=f"install the package: apt install backendai-{self.database.component}",
        )
