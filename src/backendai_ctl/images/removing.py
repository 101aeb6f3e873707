"""Taking images out of the site's registry: at once by their name, and what no name leads to when swept.

What nodes ask stays read-only: names go as files of the storage, blobs by the registry's own program.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout, pushing
from backendai_ctl.platform import files, trees
from backendai_ctl.platform.run import run

_BLOB = re.compile(rf"blob eligible for deletion: ({layout.DIGEST.pattern})")
_TIMEOUT = 3600  # seconds, for a sweep of a large registry


def record(ctx: Context) -> Path:
    """Names of images that were removed from the registry of this host."""
    return ctx.paths.ctl / "removed-images.json"


def removed(ctx: Context) -> list[str]:
    """Images that are not pushed again by themselves, though the release brings them."""
    try:
        names = json.loads(files.read(record(ctx)) or "[]")
    except ValueError as error:
        raise Problem(
            f"{record(ctx)}: {error}", hint="remove the file: images of the release come back"
        ) from error
    return [str(name) for name in names] if isinstance(names, list) else []


def of_release(ctx: Context) -> list[layout.Image]:
    """The images that the release brings, but for those that were removed."""
    away = removed(ctx)
    return [one for one in layout.read(layout.of_release(ctx)) if one.name not in away]


def keep_out(ctx: Context, names: Iterable[str]) -> None:
    """Note them as removed."""
    _note(ctx, {*removed(ctx), *names})


def let_in(ctx: Context, names: Iterable[str]) -> None:
    """Note them as wanted again."""
    _note(ctx, set(removed(ctx)).difference(names))


def _note(ctx: Context, names: set[str]) -> None:
    if names != set(removed(ctx)):
        files.write(record(ctx), json.dumps(sorted(names)) + "\n", mode=0o600)


def remove(ctx: Context, name: str) -> None:
    """Nobody finds the image by its name any more, and no reconfigure brings it back."""
    keep_out(ctx, [name])
    trees.remove(pushing.tag(ctx, name))


@dataclass(frozen=True)
class Swept:
    """Blobs that no image needs; `size` in bytes."""

    blobs: int
    size: int


def sweep(ctx: Context, *, dry_run: bool) -> Swept:
    """Remove, or tell, what no image of this host's registry needs. Nothing must be pushed meanwhile."""
    if not (pushing.top(ctx) / "repositories").is_dir():
        return Swept(0, 0)
    with pushing.filler(ctx) as program:
        blobs = set(_BLOB.findall(_collect(program, "--dry-run")))
        size = sum(_size(pushing.blob(ctx, blob)) for blob in blobs)
        if blobs and not dry_run:
            _collect(program)
    return Swept(len(blobs), size)


def _collect(program: pushing.Filler, *words: str) -> str:
    call = program.call("garbage-collect", "--delete-untagged", *words, str(program.settings))
    done = run(call, timeout=_TIMEOUT)
    if done.returncode:
        raise Problem(
            f"the registry cannot be swept: {done.tail}", hint="see: backendai-ctl logs registry"
        )
    return done.stdout


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_size
    return 0
