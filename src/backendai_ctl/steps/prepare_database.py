"""Let the nodes of the site reach this host's PostgreSQL: its address, and who may log in.

PostgreSQL's own files stay as they are. A file in its conf.d names the addresses and a file of ours
with the rules of access, which includes the one that came with the server.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.database.databases import ALL, Target
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.listeners import server_addresses
from backendai_ctl.nodes import layout
from backendai_ctl.site.values import is_address
from backendai_ctl.steps import units
from backendai_ctl.steps.base import Change
from backendai_ctl.steps.create_databases import ADMINISTRATOR, psql
from backendai_ctl.system import careful, files, systemd
from backendai_ctl.system.run import run

UNIT = "postgresql@.service"
RUNNING = "postgresql.service"
NAME = "backendai.conf"
RULES = "backendai_hba.conf"
_INCLUDE_SINCE = 160000  # rules of access may include files


@dataclass(frozen=True)
class PrepareDatabase:
    """Does nothing where PostgreSQL is needed on this host alone, and never did otherwise."""

    name: str = "prepare-database"
    title: str = "Let the nodes reach PostgreSQL"
    needs: tuple[str, ...] = ("create-secrets",)
    components: tuple[str, ...] = tuple(database.component for database in ALL)
    limit: int = 120

    def check(self, ctx: Context) -> list[Change]:
        if not self._concerned(ctx):
            return []
        folder = _folder(ctx)
        found = [Change(str(f.path), "write it") for f in _wanted(ctx, folder) if not f.same]
        if not found and _listening(ctx) != _listen(ctx):
            found.append(Change(RUNNING, f"restart it: it shall listen on {_listen(ctx)}"))
        return found

    def apply(self, ctx: Context) -> None:
        if not self._concerned(ctx):
            return
        folder = _folder(ctx)
        rules, settings, wait = _wanted(ctx, folder)
        owner = _owner(folder)
        files.write(rules.path, rules.text, mode=rules.mode, owner=owner)
        files.write(settings.path, settings.text, mode=settings.mode, owner=owner)
        units.write([wait])
        psql(ctx, "SELECT pg_reload_conf();")
        if _listening(ctx) != _listen(ctx):
            _restart()

    def undo(self, ctx: Context) -> None:
        if not self._concerned(ctx):
            return
        gone = _wanted(ctx, _folder(ctx))
        units.remove(gone)
        if systemd.booted():
            systemd.systemctl("try-restart", RUNNING)

    def _concerned(self, ctx: Context) -> bool:
        return bool(server_addresses(ctx, "postgresql"))


def _listen(ctx: Context) -> str:
    return ",".join(["localhost", *server_addresses(ctx, "postgresql")])


def _listening(ctx: Context) -> str:
    return psql(ctx, "SHOW listen_addresses;").strip()


def _folder(ctx: Context) -> Path:
    """Where this host's PostgreSQL has its configuration; Problem if it cannot be added to."""
    rows = psql(ctx, "SHOW config_file; SHOW server_version_num;").split()
    folder, version = Path(rows[0]).parent, int(rows[1])
    if not (folder / "conf.d").is_dir() or version < _INCLUDE_SINCE:
        raise Problem(
            f"{rows[0]}: this PostgreSQL ({version // 10000}) has no conf.d, or is older than 16",
            hint='set it up by hand for the nodes, with mode = "external" in [database]',
        )
    return folder


def _wanted(ctx: Context, folder: Path) -> tuple[units.File, units.File, units.File]:
    """Rules first: the settings name them."""
    rules = folder / RULES
    # In quotes a word such as "all" is a name and nothing else.
    lines = [f'include "{folder / "pg_hba.conf"}"']
    for target in (Target(ctx, database) for database in ALL):
        for node in layout.running(ctx.site, ctx.facts, target.database.component):
            if node != ctx.node:
                where = _source(ctx.site.nodes[node].address)
                lines.append(f'host "{target.dbname}" "{target.user}" "{where}" scram-sha-256')
    settings = f"listen_addresses = '{_listen(ctx)}'\nhba_file = '{rules}'\n"
    return (
        units.File(rules, files.HEAD + "\n".join(lines) + "\n", mode=0o640),
        units.File(folder / "conf.d" / NAME, files.HEAD + settings, mode=0o644),
        units.drop_in(UNIT, NAME, files.HEAD + units.WAIT_FOR_NETWORK.rstrip() + "\n"),
    )


def _source(address: str) -> str:
    """An address as rules of access have it; host names stand as they are."""
    return f"{address}/{128 if ':' in address else 32}" if is_address(address) else address


def _owner(folder: Path) -> tuple[int, int]:
    """Of PostgreSQL's own rules. The folder is its user's, who may put a link there."""
    try:
        with careful.folder(folder) as at:
            found = os.lstat("pg_hba.conf", dir_fd=at)
    except OSError as error:
        raise files.trouble(error, folder / "pg_hba.conf") from error
    return found.st_uid, found.st_gid


def _restart() -> None:
    if not systemd.booted():
        raise Pending(
            "PostgreSQL runs, but not by systemd: it has to be restarted",
            hint="restart it, then run: backendai-ctl reconfigure",
        )
    systemd.systemctl("restart", RUNNING)
    until = ["pg_isready", "--quiet", "--timeout=30"]
    if run(until, user=ADMINISTRATOR, limit=60).returncode:
        raise Pending("PostgreSQL is starting", hint="run: backendai-ctl reconfigure")


STEP = PrepareDatabase()
