"""What becomes of each volume when a site is removed with its data, and why."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest
from backendai_ctl.platform import careful, folders, trees
from backendai_ctl.site.suggest import suggest
from backendai_ctl.storage import made, volumes
from backendai_ctl.topology import places, shared


@dataclass(frozen=True)
class Fate:
    """A volume that is deleted, if there is an `identity`, or left."""

    place: places.Place
    why: str
    identity: trees.Identity | None = None
    others: int = 0  # other nodes that use it

    def __str__(self) -> str:
        count = f"{self.others} other node{'s use' if self.others > 1 else ' uses'} it"
        return f"{self.place.path} (volume {self.place.name}): {self.why}" + (
            f"; {count}" if self.others else ""
        )


def of_volumes(ctx: Context, named: Collection[str]) -> list[Fate]:
    """Of every volume that is at this host; `named`: those asked for, none: all that may be."""
    for name in named:
        if name not in ctx.site.storage.volumes:
            raise BadRequest(
                f"there is no volume {name!r}",
                hint=suggest(name, ctx.site.storage.volumes) or "see: backendai-ctl storage status",
            )
    found = [_fate(ctx, place, named) for place in places.places(ctx)]
    return [fate for fate in found if fate]


def _fate(ctx: Context, place: places.Place, named: Collection[str]) -> Fate | None:
    others = len([n for n in shared.users(ctx.site, ctx.facts, place.name) if n != ctx.node])
    if place.remote:
        return Fate(place, f"it is on {place.source}, and only unmounted here", others=others)
    look = volumes.look(ctx, place.path)
    if look.kind == "absent":
        return None
    row = made.known(ctx).get(place.path)
    why = (
        look.error
        or _not_a_folder_of_ours(ctx, place)
        or _not_made_here(ctx, place, row)
        or _not_asked_for(ctx, place, named)
    )
    if why or not row:
        return Fate(place, why, others=others)
    return Fate(place, f"made here on {row.time[:10]}", row.identity, others)


def _not_a_folder_of_ours(ctx: Context, place: places.Place) -> str:
    if place.volume.backend != "vfs":
        return f'a file system of its own (backend = "{place.volume.backend}")'
    if mounted := trees.mounts_in(place.path):
        where = "a mount point" if mounted[0] == place.path else f"{mounted[0]} is mounted in it"
        return f"{where}: see to what is mounted there yourself"
    if place.path.is_symlink():
        return "a link"
    real = place.path.resolve()
    if real in folders.TOP:
        return "a folder of the host"
    paths = ctx.paths
    kept = [paths.config, paths.state, paths.run, paths.environment, paths.backups, paths.share]
    names = [name for name in ctx.site.storage.volumes if name != place.name]
    inner = {name: ctx.site.volume_path(name, paths.volumes) for name in names}
    held = [str(path) for path in kept if path.is_relative_to(real)]
    held += [f"volume {n}" for n, path in inner.items() if path.is_relative_to(real)]
    return f"{held[0]} is in it" if held else ""


def _not_made_here(ctx: Context, place: places.Place, row: made.Made | None) -> str:
    if not row:
        return "no record says that backendai-ctl made it here (earlier releases kept none)"
    try:
        with careful.folder(place.path) as at:
            same, now = careful.identity(at) == row.identity, os.fstat(at)
    except OSError as error:
        return error.strerror or str(error)
    if not same:
        return f"another folder than the one that backendai-ctl made here on {row.time[:10]}"
    if (now.st_uid, now.st_gid) != ctx.numbers:
        return f"it does not belong to {ctx.facts.user}"
    return ""


def _not_asked_for(ctx: Context, place: places.Place, named: Collection[str]) -> str:
    if place.name in named:
        return ""
    if named:
        return "not named by --volumes"
    if ctx.node:
        return f"of a site of several nodes: delete it by --volumes {place.name}"
    return ""
