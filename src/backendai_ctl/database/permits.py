"""Who may use which volume host: `allowed_vfolder_hosts` of domains, projects and keypair policies.

All three have to permit a host before a user can make a folder there. What was permitted is kept in
a table of our own, beside the rows it is about: a restored dump has both or none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from backendai_ctl.database.connection import Connection
from backendai_ctl.database.seed import HOST_PERMISSIONS, HOST_TABLES

NOTES = "public.backendai_ctl_permitted"
_ALL = json.dumps(HOST_PERMISSIONS)
# Of a host ($1), with all permissions ($2): in rows that do not name it, where nobody changed them.
_GIVE = """allowed_vfolder_hosts || jsonb_build_object($1::text, $2::jsonb)
WHERE NOT allowed_vfolder_hosts ? $1::text"""
_TAKE = """allowed_vfolder_hosts - $1::text
WHERE allowed_vfolder_hosts -> $1::text @> $2::jsonb
  AND allowed_vfolder_hosts -> $1::text <@ $2::jsonb"""


@dataclass(frozen=True)
class Plan:
    """Hosts by what is to be done."""

    give: list[str]  # new in the site file
    note: list[str]  # permitted before notes were taken, or by the first rows
    take: list[str]  # no longer in the site file


def plan(db: Connection, wanted: Sequence[str]) -> Plan:
    """What differs between the notes and the volume hosts that shall be permitted."""
    noted: set[str] = set()
    if db.value("SELECT to_regclass($1) IS NOT NULL", NOTES):
        noted = {row["host"] for row in db.rows(f"SELECT host FROM {NOTES}")}
        known: set[str] = set()
    else:
        known = _named(db)
    new = [host for host in wanted if host not in noted]
    return Plan(
        give=[host for host in new if host not in known],
        note=[host for host in new if host in known],
        take=sorted(noted - set(wanted)),
    )


def carry_out(db: Connection, wanted: Sequence[str]) -> None:
    """Permit what is new, take back what is gone unless somebody changed it; all or nothing."""
    found = plan(db, wanted)
    db.do("BEGIN")
    db.do(f"CREATE TABLE IF NOT EXISTS {NOTES} (host text PRIMARY KEY)")
    for host in found.give:
        _change(db, _GIVE, host)
    for host in found.take:
        _change(db, _TAKE, host)
        db.do(f"DELETE FROM {NOTES} WHERE host = $1", host)
    for host in [*found.give, *found.note]:
        db.do(f"INSERT INTO {NOTES} VALUES ($1)", host)
    db.do("COMMIT")


def _named(db: Connection) -> set[str]:
    """Hosts that anybody is permitted to use."""
    each = (
        f"SELECT jsonb_object_keys(allowed_vfolder_hosts) AS host FROM {t}" for t in HOST_TABLES
    )
    return {row["host"] for row in db.rows(" UNION ".join(each))}


def _change(db: Connection, how: str, host: str) -> None:
    """Change what a host is permitted in every row that `how` concerns."""
    for table in HOST_TABLES:
        db.do(f"UPDATE {table} SET allowed_vfolder_hosts = {how}", host, _ALL)
