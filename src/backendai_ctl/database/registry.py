"""The registries that a site's images come from, as its database has them, and the images it knows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.database.connection import Connection
from backendai_ctl.topology import registry

LOCAL = "local"  # images loaded into a host's own engine
_FIND = "FROM container_registries WHERE registry_name = $1 AND project = $2"
_WHAT = ("url", "type", "username", "password")


def rows(ctx: Context) -> list[dict[str, Any]]:
    """What this release enters in `container_registries`; always of the same ids.

    The site's own registry, or, where there is none, that of images loaded into engines.
    """
    return [_own(ctx) if registry.usable(ctx) else _local()]


def _own(ctx: Context) -> dict[str, Any]:
    return {
        **_row(registry.host(ctx)),
        "url": registry.url(ctx),
        "type": "docker",
        "username": registry.USER,
        "password": ctx.secrets.get(registry.SECRET),
    }


def _local() -> dict[str, Any]:
    return {**_row(LOCAL), "url": "http://localhost", "type": "local"}


def _row(name: str) -> dict[str, Any]:
    place = f"backendai:registry/{name}/{registry.PROJECT}"
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, place)),
        "registry_name": name,
        "project": registry.PROJECT,
    }


def missing(db: Connection, wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of which there is none by their name and project."""
    return [
        row
        for row in wanted
        if not db.value(f"SELECT count(*) {_FIND}", row["registry_name"], row["project"])
    ]


def stale(db: Connection, wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ours whose address or login is another one; an operator's row has an id of its own."""
    found = []
    for row in wanted:
        there = db.rows(
            f"SELECT {', '.join(_WHAT)} FROM container_registries WHERE id = $1::uuid", row["id"]
        )
        if there and any(there[0][key] != row.get(key) for key in _WHAT):
            found.append(row)
    return found


def put(db: Connection, row: dict[str, Any]) -> None:
    """Give a row of ours its address and login."""
    sets = ", ".join(f"{key} = ${n}" for n, key in enumerate(_WHAT, 2))
    values = [row.get(key) for key in _WHAT]
    db.do(f"UPDATE container_registries SET {sets} WHERE id = $1::uuid", row["id"], *values)


def retired(db: Connection, wanted: Iterable[dict[str, Any]]) -> list[str]:
    """Names of registries that were the site's own: its address, or what it is called, is another now."""
    names = {row["registry_name"] for row in wanted}
    rows = db.rows(
        "SELECT id::text, registry_name FROM container_registries "
        "WHERE project = $1 AND username IS NOT NULL",
        registry.PROJECT,
    )
    ours = (row["registry_name"] for row in rows if row["id"] == _row(row["registry_name"])["id"])
    return sorted(name for name in ours if name not in names)


def retire(db: Connection, name: str) -> None:
    """Nobody pulls from it any more: who listens there now may be anybody."""
    db.do("UPDATE images SET status = 'DELETED' WHERE registry = $1", name)
    db.do(
        "UPDATE domains SET allowed_docker_registries = array_remove(allowed_docker_registries, $1)",
        name,
    )
    db.do(
        "UPDATE container_registries SET username = NULL, password = NULL WHERE id = $1::uuid",
        _row(name)["id"],
    )


def permit(db: Connection, name: str) -> None:
    """Let every domain use a new registry; what an administrator takes back later stays so."""
    db.do(
        "UPDATE domains SET allowed_docker_registries = array_append(allowed_docker_registries, $1) "
        "WHERE NOT ($1 = ANY (allowed_docker_registries))",
        name,
    )


def known(db: Connection, name: str) -> dict[str, tuple[str, bool]]:
    """{image without its registry, as in stable/python:3.13: digest of its configuration, in use}.

    One that an administrator had the manager forget is known, and not in use.
    """
    query = "SELECT image, tag, config_digest, status FROM images WHERE registry = $1"
    return {
        f"{row['image']}:{row['tag']}": (row["config_digest"].strip(), row["status"] == "ALIVE")
        for row in db.rows(query, name)
    }
