"""Images of the site's registry in this host's container engine that nobody needs any more.

The engine may be the host's own Docker, with images of others: an image counts only if every name it has
is one of that registry.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform.http import Local
from backendai_ctl.topology import container_engine, registry

_TIMEOUT = 120.0  # seconds for an answer: layers are removed meanwhile
_NONE = ("<none>:<none>", "<none>@<none>")  # as older engines say that there is no name


@dataclass(frozen=True)
class Old:
    """An image of the engine by all of its names, tags first; `size` in bytes, with what others share."""

    names: tuple[str, ...]
    size: int


def superseded(ctx: Context, held: Mapping[str, str] | None) -> list[Old]:
    """Images of the registry that no container has and that the registry does not name as they are.

    held: {REPOSITORY:TAG: digest of the manifest} in the registry; None where this host cannot tell:
    then those that lost their tag to a newer one. Problem if the engine does not answer.
    """
    used = {str(row["ImageID"]) for row in _ask(ctx, "containers/json?all=1")}
    found = []
    for row in _ask(ctx, "images/json?digests=1"):
        tags, digests = _names(row, "RepoTags"), _names(row, "RepoDigests")
        names = [*tags, *digests]
        at = f"{registry.host(ctx)}/"
        if not names or not all(name.startswith(at) for name in names) or row["Id"] in used:
            continue
        if not _current(
            [n.removeprefix(at) for n in tags], [n.removeprefix(at) for n in digests], held
        ):
            found.append(Old(tuple(names), int(row["Size"])))
    return sorted(found, key=lambda one: one.names)


def remove(ctx: Context, old: Old) -> bool:
    """Remove it, name by name, never by force; False if a container came to have it meanwhile."""
    for name in old.names:
        status, said = _delete(container_engine.of(ctx.facts).socket, name)
        if status == 409:
            return False
        if status not in (200, 404):  # the last tag takes digests along
            raise Problem(f"the engine does not remove {name}: HTTP {status}: {said}", hint=_HINT)
    return True


_HINT = "see: backendai-ctl logs docker"


def _current(tags: list[str], digests: list[str], held: Mapping[str, str] | None) -> bool:
    """Whether the registry names the image as it is; one without digests was loaded by hand."""
    if held is None:
        return bool(tags)
    return any(
        tag in held and (not digests or f"{tag.rpartition(':')[0]}@{held[tag]}" in digests)
        for tag in tags
    )


def _names(row: Mapping[str, Any], key: str) -> list[str]:
    return sorted(name for name in row.get(key) or () if name not in _NONE)


def _ask(ctx: Context, what: str) -> list[dict[str, Any]]:
    socket = container_engine.of(ctx.facts).socket
    try:
        rows = container_engine.ask(socket, what, timeout=_TIMEOUT, most=None)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Problem(f"the container engine does not answer: {error}", hint=_HINT) from error
    if not isinstance(rows, list):
        raise Problem("unexpected answer of the container engine", hint=_HINT)
    return rows


def _delete(socket: Path, name: str) -> tuple[int, str]:
    connection = Local(socket, _TIMEOUT)
    try:
        connection.request("DELETE", f"/images/{quote(name, safe='/:@')}")
        answer = connection.getresponse()
        return answer.status, answer.read(1 << 16).decode("utf-8", "replace").strip()[:300]
    except (OSError, http.client.HTTPException) as error:
        raise Problem(f"the container engine does not answer: {error}", hint=_HINT) from error
    finally:
        connection.close()
