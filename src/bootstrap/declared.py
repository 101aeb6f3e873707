"""What BUILD files declare of Debian's packages and distributions: read without Pants."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypeVar

from releasekit.errors import Failure

T = TypeVar("T")


@dataclass(frozen=True)
class Image:
    """An image of sessions: what it asks for beyond that of the image `base` (empty: of none)."""

    name: str
    base: str
    debian: tuple[str, ...]
    distributions: tuple[str, ...]


def servers(root: Path) -> dict[str, list[str]]:
    """{name of the server: Debian packages that it is assembled from}; Failure for what is not plain."""
    found = _declared(root / "packaging/servers", "backendai_server", {"debian": None})
    return {str(row["name"]): [str(package) for package in row["debian"]] for row in found}


def images(root: Path) -> list[Image]:
    """The images, each after the one that it is based on; Failure for what is not plain, or for a circle."""
    optional = {"base": "", "debian": [], "distributions": []}
    waiting = {
        str(row["name"]): Image(
            str(row["name"]), str(row["base"]), tuple(row["debian"]), tuple(row["distributions"])
        )
        for row in _declared(root / "packaging/images", "session_image", optional)
    }
    done: dict[str, Image] = {}
    while waiting:
        ready = [one for one in waiting.values() if not one.base or one.base in done]
        if not ready:
            names = ", ".join(sorted(waiting))
            raise Failure(
                f"packaging/images: {names}: their `base` is none of the images, or is based on them",
                hint="name a folder of packaging/images",
            )
        for one in sorted(ready, key=lambda image: image.name):
            done[one.name] = waiting.pop(one.name)
    return list(done.values())


def shares(
    wanted: Sequence[Image],
    asks: Callable[[Image], Sequence[str]],
    resolved: Callable[[Image, Sequence[str], Mapping[str, T]], Mapping[str, T]],
) -> dict[str, dict[str, T]]:
    """{image: {name: what it has beyond the image that it is based on}}; `wanted` as of `images`.

    asks: what an image names itself. resolved: all that is there then, for an image, what it and those below
    it name, and what those have.
    """
    asked: dict[str, tuple[str, ...]] = {}
    held: dict[str, dict[str, T]] = {}
    own = {}
    for image in wanted:
        below = held.get(image.base, {})
        asked[image.name] = (*asked.get(image.base, ()), *asks(image))
        found = resolved(image, asked[image.name], below) if asks(image) else {}
        own[image.name] = {name: found[name] for name in sorted(found) if name not in below}
        held[image.name] = {**below, **own[image.name]}
    return own


def _declared(folder: Path, macro: str, optional: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`name` and the fields of `optional` in each call of `macro`; a default of None: required."""
    for path in sorted(folder.glob("*/BUILD")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise Failure(f"{path}: {error}", hint="correct the BUILD file") from None
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if getattr(call.func, "id", "") == macro:
                yield _fields(path, call, {"name": None, **optional})


def _fields(path: Path, call: ast.Call, wanted: dict[str, Any]) -> dict[str, Any]:
    given = {word.arg: word.value for word in call.keywords}
    found = {}
    for name, default in wanted.items():
        try:
            if name in given or default is None:
                found[name] = ast.literal_eval(given[name])
            else:
                found[name] = default
        except (KeyError, ValueError):
            names = " and ".join(f"`{word}`" for word in wanted)
            raise Failure(
                f"{path}:{call.lineno}: {names} must be plain words",
                hint="write them out: scripts/lock-debian reads them",
            ) from None
    return found
