"""Where the volumes of the site are on this host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.site.schema import Volume
from backendai_ctl.topology import shared


@dataclass(frozen=True)
class Place:
    """A volume and where it is on this host. `volume` is as this host sees it.

    What this node keeps for others is a folder of its own; `clients` are those others.
    """

    name: str
    volume: Volume
    path: Path
    clients: tuple[str, ...] = ()

    @property
    def remote(self) -> bool:
        return self.volume.kind == "nfs"

    @property
    def source(self) -> str:
        """SERVER:EXPORT; empty for a folder of this host."""
        if not self.remote:
            return ""
        server = self.volume.server or ""
        return f"{f'[{server}]' if ':' in server else server}:{self.volume.export}"


def places(ctx: Context) -> list[Place]:
    """The volumes of the site file that this host needs, as it sees them."""
    return [
        _place(ctx, name, volume)
        for name, volume in ctx.site.storage.volumes.items()
        if shared.needed(ctx.site, ctx.facts, name, ctx.node)
    ]


def _place(ctx: Context, name: str, volume: Volume) -> Place:
    path = ctx.site.volume_path(name, ctx.paths.volumes)
    node = shared.server_node(ctx.site, volume)
    if not node:
        return Place(name, volume, path)
    if node == ctx.node:
        mine = volume.model_copy(update={"kind": "local", "server": None, "export": None})
        return Place(name, mine, path, tuple(shared.clients(ctx.site, ctx.facts, name)))
    update = {"server": ctx.site.nodes[node].address, "export": path}
    return Place(name, volume.model_copy(update=update), path)


def served(ctx: Context) -> list[Place]:
    """Volumes of this host that other nodes need."""
    return [place for place in places(ctx) if place.clients]
