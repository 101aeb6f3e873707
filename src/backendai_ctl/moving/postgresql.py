"""Databases: dumped and verified, restored, compared row by row."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from backendai_ctl.context import Context
from backendai_ctl.database import creation, dumps, programs
from backendai_ctl.database.connection import Connection, NotMade, connect
from backendai_ctl.database.databases import Target
from backendai_ctl.database.inspect import look
from backendai_ctl.database.migration import alone, restore
from backendai_ctl.errors import Problem
from backendai_ctl.facts import MANAGER
from backendai_ctl.moving import record
from backendai_ctl.moving.evidence import Former, drop_in, ours
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.services import serving

_AGAIN = "backendai-ctl reconfigure"
_CLUSTERS = Path("/etc/postgresql")
# The same text of the same value on both sides, whatever their settings are.
_PLAIN = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';
SET bytea_output = 'hex'; SET extra_float_digits = 1; SET search_path = pg_catalog, pg_temp;
"""
_TABLES = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2
"""
# 60 bits of each row's hash: their sum does not depend on the order, which differs.
_ROWS = """
SELECT count(*)::text || ' rows, sum '
  || coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0)::text FROM ONLY {table} t
"""
_SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_catalog.pg_sequences"
_OTHERS = """
SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate AND datname <> 'postgres'
  AND datname <> ALL ($1::text[]) ORDER BY 1
"""


def of(ctx: Context, former: Former) -> Context:
    """The context with the old server."""
    database = ctx.site.database.model_copy(update={"host": former.host, "port": former.port})
    return replace(ctx, site=ctx.site.model_copy(update={"database": database}))


def check(ctx: Context, former: Former) -> None:
    """Problem unless all databases can be read, and there is room for them."""
    size = sum(look(db, any_state=True).size for db in _each(of(ctx, former)))
    disks: dict[int, tuple[Path, int]] = {}
    for folder in (ctx.paths.backups, ctx.paths.state):
        while not folder.exists():
            folder = folder.parent
        device = os.stat(folder).st_dev
        disks[device] = folder, disks.get(device, (folder, 0))[1] + size
    for folder, needed in disks.values():
        free = shutil.disk_usage(folder).free
        if free < needed + dumps.SPARE:
            raise Problem(
                f"{folder}: {free // 10**6} MB are free, moving the databases may need "
                f"{(needed + dumps.SPARE) // 10**6} MB",
                hint=f"free some space, then run: {_AGAIN}",
            )


def ready(ctx: Context, former: Former) -> None:
    """Run the site's own server, with its roles and databases. Problem if they hold data already."""
    serving.run(ctx, former.name)
    creation.create(ctx)
    for db in _each(ctx):
        if not look(db, any_state=True).empty and record.read(ctx).state != record.MOVING:
            raise Problem(
                f"{db.target.where} and that of Debian's PostgreSQL ({former.address}) both have data",
                hint="drop the one that is not needed (docs/OPERATING.md, The site's own servers), then "
                f"run: {_AGAIN}",
            )


def copy(ctx: Context, former: Former) -> str:
    """Copy all databases, while no service uses them, and compare; what was copied, for people."""
    said = []
    for old in _each(of(ctx, former)):
        new = replace(old.target, ctx=ctx)
        with _hinted():
            alone(old)
            dump = _dump(old)
            _anew(ctx, new)
            with connect(new) as fresh:
                restore(fresh, dump)
                said.append(_compare(old, fresh))
    return ", ".join(said)


def others(ctx: Context, former: Former) -> str:
    """What else is in the old server; empty if nothing."""
    former_ctx = of(ctx, former)
    names = [target.dbname for target in creation.targets(ctx)]
    for db in _each(former_ctx):
        if found := [row["datname"] for row in db.rows(_OTHERS, names)]:
            return f"it has other databases: {', '.join(found)}"
        main = former_ctx.site.database.model_copy(
            update={
                MANAGER: former_ctx.site.database.of(MANAGER).model_copy(
                    update={"name": "postgres"}
                )
            }
        )
        admin = replace(db.target.ctx, site=former_ctx.site.model_copy(update={"database": main}))
        if db.target.database.name == MANAGER:
            with connect(Target(admin, db.target.database)) as postgres:
                if postgres.rows(_TABLES):
                    return "its database postgres has tables"
    return ""


def retire(ctx: Context, former: Former, alive: bool) -> str:
    """Stop the old cluster, now and at every boot; see etcd.retire."""
    cluster = ""
    for db in _each(of(ctx, former)) if alive else ():
        cluster = str(db.value("SHOW cluster_name"))
        break
    if alive:
        start = _CLUSTERS / cluster / "start.conf"
        if not re.fullmatch(r"[0-9.]+/[\w.-]+", cluster) or not start.is_file():
            return f"it is none that Debian manages (cluster_name {cluster!r})"
        _by_hand(start)
        systemd.systemctl("daemon-reload")
        systemd.systemctl("stop", f"postgresql@{cluster.replace('/', '-')}.service", timeout=240)
    undo()
    return ""


def undo() -> None:
    """Take back what the earlier release wrote for clusters: the first file names the second."""
    names = ("conf.d/backendai.conf", "backendai_hba.conf")
    gone = [folder / name for folder in sorted(_CLUSTERS.glob("*/*")) for name in names]
    gone.append(drop_in("postgresql@.service").path)
    units.remove([units.File(path, "") for path in gone if ours(path)])


def _each(ctx: Context) -> Iterator[Connection]:
    """A connection to each database that is there."""
    for target in creation.targets(ctx):
        try:
            with connect(target) as db:
                yield db
        except NotMade as error:
            if not isinstance(error.__cause__, asyncpg.InvalidCatalogNameError):
                raise


def _dump(old: Connection) -> Path:
    """A verified dump; that of a run which failed goes first."""
    target = old.target
    ctx, name = target.ctx, target.database.name
    known = record.read(ctx).dumps
    if name in known:
        files.remove(Path(known[name]))
    dumps.sweep(ctx, name)
    dump = dumps.path(ctx, name, look(old, any_state=True).revision or "none", None)
    record.note(ctx, dumps={**known, name: str(dump)})
    ctx.say(f"  dump {target.where} to {dump}")
    with programs.programs(target) as run:
        dumps.make(run, dump)
    return dump


def _anew(ctx: Context, target: Target) -> None:
    """An empty database, whatever a run that failed left in it."""
    name = target.dbname.replace('"', '""')
    creation.psql(ctx, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')
    creation.create(ctx)


def _compare(old: Connection, new: Connection) -> str:
    """Problem unless both have the same schema, rows and sequences; how much that is."""
    before, after = look(old, any_state=True), look(new, any_state=True)
    same_major = before.server // 10000 == after.server // 10000
    if before.revision != after.revision or (
        same_major and before.fingerprint != after.fingerprint
    ):
        raise _differs(new, "its schema")
    rows, copied = contents(old), contents(new)
    if wrong := sorted(
        key for key in rows.keys() | copied.keys() if rows.get(key) != copied.get(key)
    ):
        raise _differs(new, ", ".join(wrong[:5]))
    count = sum(int(said.split()[0]) for said in rows.values() if " rows" in said)
    return f"{new.target.dbname} ({len(rows)} tables and sequences, {count} rows)"


def contents(db: Connection) -> dict[str, str]:
    """Rows of each table, and where each sequence is, in a form that can be compared."""
    db.do(_PLAIN)
    found = {}
    for row in db.rows(_TABLES):
        table = ".".join('"' + row[key].replace('"', '""') + '"' for key in ("schema", "name"))
        found[table] = str(db.value(_ROWS.format(table=table)))
    for row in db.rows(_SEQUENCES):
        found[f"{row['schemaname']}.{row['sequencename']}"] = str(row["last_value"])
    db.do("RESET search_path")
    return found


def _differs(new: Connection, what: str) -> Problem:
    return Problem(
        f"{new.target.where}: differs from what was copied: {what}",
        hint=f"nothing was changed in the old one; run again: {_AGAIN}; please report it",
    )


def _by_hand(start: Path) -> None:
    """Have the cluster started by hand only: see pg_ctlcluster(1)."""
    now = os.stat(start)
    text = re.sub(r"(?m)^auto\b", "manual", files.read(start) or "")
    files.write(start, text, mode=now.st_mode & 0o7777, owner=(now.st_uid, now.st_gid))


@contextmanager
def _hinted() -> Iterator[None]:
    """What is shared with migrations names their command."""
    try:
        yield
    except Problem as problem:
        problem.hint = problem.hint.replace("backendai-ctl db migrate", _AGAIN)
        raise
