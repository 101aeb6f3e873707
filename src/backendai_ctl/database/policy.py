"""The default policy of users' keys: how many sessions they may have, how large, and for how long."""

from __future__ import annotations

from backendai_ctl.database.connection import Connection
from backendai_ctl.site import values
from backendai_ctl.site.schema import Site


def wanted(site: Site) -> dict[str, int]:
    """What the site file says, by column; times in seconds, 0 for no end."""
    said = site.sessions
    columns = {
        "max_concurrent_sessions": said.concurrent,
        "max_containers_per_session": said.containers,
        "idle_timeout": None if said.idle_timeout is None else values.seconds(said.idle_timeout),
        "max_session_lifetime": None if said.lifetime is None else values.seconds(said.lifetime),
    }
    return {column: value for column, value in columns.items() if value is not None}


def differing(db: Connection, site: Site) -> dict[str, tuple[int, int]]:
    """{column: (value in the database, value of the site file)}, where these are not the same."""
    columns = wanted(site)
    if not columns:
        return {}
    query = f"SELECT {', '.join(columns)} FROM keypair_resource_policies WHERE is_default"
    (row,) = db.rows(query) or [columns]
    return {c: (row[c], value) for c, value in columns.items() if row[c] != value}


def put(db: Connection, changes: dict[str, tuple[int, int]]) -> None:
    """Change the row, all columns or none."""
    if changes:
        sets = ", ".join(f"{column} = ${n}" for n, column in enumerate(changes, 1))
        values_ = [value for _, value in changes.values()]
        db.do(f"UPDATE keypair_resource_policies SET {sets} WHERE is_default", *values_)
