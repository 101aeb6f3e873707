"""What is in a database: its revision, whether it is empty, who else uses it."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.database.connection import Connection
from backendai_ctl.database.databases import APPLICATION, WORKER
from backendai_ctl.errors import Problem

# The table by which a change under way is known, whoever looks, until it is over.
MARKER = "backendai_ctl_change"

_TABLES = f"""
SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> '{MARKER}'
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

# Everything that a restored dump must have again. Names, not numbers: those differ. So do casts and brackets
# of expressions: what pg_dump writes of `status IN (...)` is read in another way than upstream's words.
_FINGERPRINT = f"""
WITH own AS (
  SELECT c.oid, c.relname, c.relkind FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> '{MARKER}'
), lines AS (
  SELECT format('column %s %s %s %s %s %s', o.relkind, o.relname, a.attname,
      format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM own o JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = o.oid AND d.adnum = a.attnum
    WHERE o.relkind NOT IN ('i', 'I')
  UNION ALL SELECT format('constraint %s %s %s', o.relname, c.conname, pg_get_constraintdef(c.oid))
    FROM own o JOIN pg_constraint c ON c.conrelid = o.oid
  UNION ALL SELECT format('index %s', pg_get_indexdef(o.oid)) FROM own o WHERE o.relkind IN ('i', 'I')
    AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
      WHERE i.indexrelid = o.oid AND t.relname = '{MARKER}')
  UNION ALL SELECT format('view %s %s', o.relname, pg_get_viewdef(o.oid))
    FROM own o WHERE o.relkind IN ('v', 'm')
  UNION ALL SELECT format('trigger %s', pg_get_triggerdef(t.oid))
    FROM own o JOIN pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
  UNION ALL SELECT format('enum %s %s', t.typname,
      (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e
        WHERE e.enumtypid = t.oid))
    FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype = 'e'
  UNION ALL SELECT format('function %s %s', p.oid::regprocedure, md5(p.prosrc))
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
)
SELECT md5(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), '')) FROM (
  SELECT regexp_replace(line, '::(character varying|text)([[][]])?|[() ]', '', 'g') AS line FROM lines
) AS plain
"""

# Of other roles' sessions we see little more than that they are there; the server's own have no
# role that we could see.
_CLIENTS = """
SELECT pid, usename, client_addr::text AS address, application_name AS program
FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL
  AND coalesce(backend_type, 'client backend') = 'client backend'
  AND coalesce(application_name, '') <> $1
ORDER BY pid
"""


@dataclass(frozen=True)
class Found:
    """A database as it is now."""

    revision: str | None  # None: no tables of Alembic
    tables: int
    size: int  # bytes on the server's disk
    fingerprint: str  # of its schema
    server: int  # version of the server, such as 170012

    @property
    def empty(self) -> bool:
        return not self.tables


@dataclass(frozen=True)
class Client:
    """Somebody else who is connected."""

    pid: int
    text: str  # for people
    ours: bool  # a program that one of our runs started


SEVERAL = "several"  # the revision of a database that is at more than one


def look(db: Connection, *, any_state: bool = False) -> Found:
    """What is in the database. Problem if Alembic's table has several rows, unless `any_state`."""
    revision = None
    if db.value("SELECT to_regclass('public.alembic_version') IS NOT NULL"):
        rows = db.rows("SELECT version_num FROM public.alembic_version")
        if len(rows) > 1 and not any_state:
            raise Problem(
                f"{db.target.where}: it is at {len(rows)} revisions at once",
                hint="a migration made by hand left this; restore a dump: backendai-ctl db restore",
            )
        names = [str(row["version_num"]) for row in rows]
        revision = SEVERAL if len(names) > 1 else next(iter(names), None)
    return Found(
        revision=revision,
        tables=int(db.value(_TABLES)),
        size=int(db.value("SELECT pg_database_size(current_database())")),
        fingerprint=str(db.value(_FINGERPRINT)),
        server=int(db.value("SELECT current_setting('server_version_num')::int")),
    )


def clients(db: Connection) -> list[Client]:
    """Who is connected to the database, besides backendai-ctl itself."""
    return [
        Client(
            pid=row["pid"],
            text=" ".join(
                [
                    row["program"] or "a program",
                    f"as {row['usename']}",
                    *([f"from {row['address']}"] if row["address"] else []),
                    f"(pid {row['pid']})",
                ]
            ),
            ours=row["program"] == WORKER,
        )
        for row in db.rows(_CLIENTS, APPLICATION)
    ]
