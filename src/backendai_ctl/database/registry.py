"""The registries that a site's images come from, as its database has them, and the images it knows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.credentials import read_password
from backendai_ctl.database.connection import Connection
from backendai_ctl.site.registries import Registry
from backendai_ctl.topology import registry

LOCAL = "local"  # images loaded into a host's own engine
_FIND = "FROM container_registries WHERE registry_name = $1 AND project = $2"
_WHAT = ("url", "type", "username", "password", "extra")


def rows(ctx: Context) -> list[dict[str, Any]]:
    """What this release enters in `container_registries`; always of the same ids.

    The site's own registry, or, where there is none, that of images loaded into engines; and those that
    the site file names.
    """
    own = _own(ctx) if registry.usable(ctx) else _local()
    return [own, *map(_named, ctx.site.registries.values())]


def _own(ctx: Context) -> dict[str, Any]:
    return {
        **_row(registry.host(ctx)),
        "url": registry.url(ctx),
        "type": "docker",
        "username": registry.USER,
        "password": ctx.secrets.get(registry.SECRET),
    }


def _named(one: Registry) -> dict[str, Any]:
    made = {
        **_row(one.host, one.project),
        "url": one.url,
        "type": one.kind,
        "username": one.username,
        "password": read_password(one.password_file) if one.password_file else None,
    }
    return {**made, "extra": {"api_endpoint": one.api}} if one.api else made


def _local() -> dict[str, Any]:
    return {**_row(LOCAL), "url": "http://localhost", "type": "local"}


def _row(name: str, project: str = registry.PROJECT) -> dict[str, Any]:
    place = f"backendai:registry/{name}/{project}"
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, place)),
        "registry_name": name,
        "project": project,
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
        if there and any(_plain(key, there[0][key]) != row.get(key) for key in _WHAT):
            found.append(row)
    return found


def _plain(key: str, value: Any) -> Any:
    """As it was given: the driver hands JSON out as text."""
    return json.loads(value) if key == "extra" and value else value


def put(db: Connection, row: dict[str, Any]) -> None:
    """Give a row of ours its address and login."""
    sets = ", ".join(f"{key} = ${n}" for n, key in enumerate(_WHAT, 2))
    values = [row.get(key) for key in _WHAT[:-1]]
    extra = json.dumps(row["extra"]) if row.get("extra") else None
    db.do(f"UPDATE container_registries SET {sets} WHERE id = $1::uuid", row["id"], *values, extra)


def retired(db: Connection, wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ours that the site has no more: it, or its address, is another now."""
    ids = {row["id"] for row in wanted}
    rows = db.rows(
        "SELECT id::text, registry_name, project FROM container_registries r WHERE username IS NOT NULL "
        "OR EXISTS (SELECT FROM images WHERE registry_id = r.id AND status = 'ALIVE')"
    )
    ours = [row for row in rows if row["id"] == _row(row["registry_name"], row["project"])["id"]]
    return [row for row in ours if row["id"] not in ids and row["registry_name"] != LOCAL]


def retire(db: Connection, row: dict[str, Any], wanted: Iterable[dict[str, Any]]) -> None:
    """Nobody pulls from it any more: who listens there now may be anybody."""
    db.do("UPDATE images SET status = 'DELETED' WHERE registry_id = $1::uuid", row["id"])
    if row["registry_name"] not in {one["registry_name"] for one in wanted}:
        db.do(
            "UPDATE domains "
            "SET allowed_docker_registries = array_remove(allowed_docker_registries, $1)",
            row["registry_name"],
        )
    db.do(
        "UPDATE container_registries SET username = NULL, password = NULL WHERE id = $1::uuid",
        row["id"],
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


def forget(db: Connection, name: str, images: Iterable[str], *, really: bool = True) -> None:
    """Let no new session have images of a registry, by REPOSITORY:TAG; or let it, if not `really`."""
    status, before = ("DELETED", "ALIVE") if really else ("ALIVE", "DELETED")
    db.do(
        "UPDATE images SET status = $1 WHERE registry = $2 AND status = $3 "
        "AND image || ':' || tag = ANY ($4::text[])",
        status,
        name,
        before,
        list(images),
    )


def sessions(db: Connection, images: Iterable[str]) -> dict[str, int]:
    """{REGISTRY/REPOSITORY:TAG: sessions that have it and did not end}, of those that any has."""
    rows = db.rows(
        "SELECT image, count(DISTINCT session_id) AS sessions FROM kernels "
        "WHERE image = ANY ($1::text[]) "
        "AND status::text NOT IN ('TERMINATED', 'CANCELLED', 'ERROR') GROUP BY image",
        list(images),
    )
    return {row["image"]: row["sessions"] for row in rows}


def pullable(db: Connection) -> dict[str, dict[str, Any]]:
    """{REGISTRY/REPOSITORY:TAG: what an agent is told to pull it by}, the login among it."""
    rows = db.rows(
        "SELECT images.name, images.project, images.architecture, images.config_digest, "
        "images.registry, r.url, r.username, r.password FROM images "
        "JOIN container_registries r ON r.id = images.registry_id "
        "WHERE images.status = 'ALIVE' AND r.type <> 'local' ORDER BY images.name"
    )
    return {
        row["name"]: {
            "canonical": row["name"],
            "project": row["project"],
            "architecture": row["architecture"],
            "digest": row["config_digest"].strip(),
            "repo_digest": None,
            "registry": {
                "name": row["registry"],
                "url": row["url"],
                "username": row["username"],
                "password": row["password"],
            },
            "labels": {},
            "is_local": False,
            "auto_pull": "digest",
        }
        for row in rows
    }
