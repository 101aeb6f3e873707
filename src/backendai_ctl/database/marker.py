"""The marker of a change under way, kept in the database itself.

It is there from before the first change of the schema until the last, and a restored dump does
not have it: with the marker the schema is in doubt, without it the schema is whole. So a run that
was killed at any instant, on any node, is recognised by the next one.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.database.connection import Connection
from backendai_ctl.database.inspect import MARKER, Found
from backendai_ctl.database.revisions import Revisions

# All that is in the schema, except what belongs to an extension: that may be somebody else's.
CLEAR = """
DO $clear$
DECLARE
  statements text[];
  statement text;
BEGIN
  WITH ours AS (SELECT 'public'::regnamespace AS schema),
  extended AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
  SELECT array_agg(line) INTO statements FROM (
    SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW'
        WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE'
        WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, relname) AS line
      FROM pg_class, ours WHERE relnamespace = schema AND relkind IN ('r','p','v','m','f','S','c')
      AND ('pg_class'::regclass, oid) NOT IN (SELECT classid, objid FROM extended)
    UNION ALL
    SELECT format('DROP TYPE IF EXISTS public.%I CASCADE', typname)
      FROM pg_type, ours WHERE typnamespace = schema AND typtype IN ('e', 'd', 'r')
      AND ('pg_type'::regclass, oid) NOT IN (SELECT classid, objid FROM extended)
    UNION ALL
    SELECT format('DROP ROUTINE IF EXISTS public.%I(%s) CASCADE', proname,
        pg_get_function_identity_arguments(oid))
      FROM pg_proc, ours WHERE pronamespace = schema
      AND ('pg_proc'::regclass, oid) NOT IN (SELECT classid, objid FROM extended)
  ) AS lines;
  FOREACH statement IN ARRAY coalesce(statements, '{}') LOOP
    EXECUTE statement;
  END LOOP;
END
$clear$;
"""


@dataclass(frozen=True)
class Marker:
    """What is, or was, being done."""

    kind: str  # creating or migrating
    origin: str  # the revision before; empty: none
    target: str  # the revision after
    dump: str  # where the state before was saved, on `node`
    node: str
    fingerprint: str  # of the schema before
    whole: bool  # the change happens completely or not at all

    def untouched(self, found: Found) -> bool:
        """Whether the database is surely as it was before."""
        same = (found.revision, found.fingerprint) == (self.origin, self.fingerprint)
        return self.whole and same


def creating(head: str) -> Marker:
    return Marker("creating", "", head, "", socket.gethostname(), "", False)


def migrating(found: Found, revisions: Revisions, dump: Path) -> Marker:
    origin = str(found.revision)
    whole = revisions.one_transaction(origin)
    node = socket.gethostname()
    return Marker("migrating", origin, revisions.head, str(dump), node, found.fingerprint, whole)


def read(db: Connection) -> Marker | None:
    """The marker, None if no change is under way."""
    if not db.value("SELECT to_regclass($1) IS NOT NULL", f"public.{MARKER}"):
        return None
    rows = db.rows(
        f"SELECT kind, origin, target, dump, node, fingerprint, whole FROM public.{MARKER}"
    )
    return Marker(**rows[0]) if rows else None


def put(db: Connection, marker: Marker) -> None:
    """Make the marker; there must be none."""
    db.do(
        f"CREATE TABLE public.{MARKER} AS SELECT $1::text AS kind, $2::text AS origin, "
        "$3::text AS target, $4::text AS dump, $5::text AS node, $6::text AS fingerprint, "
        "$7::boolean AS whole, now() AS begun",
        marker.kind,
        marker.origin,
        marker.target,
        marker.dump,
        marker.node,
        marker.fingerprint,
        marker.whole,
    )


def remove(db: Connection) -> None:
    db.do(f"DROP TABLE IF EXISTS public.{MARKER}")
