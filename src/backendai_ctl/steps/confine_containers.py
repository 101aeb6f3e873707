"""Keep sessions from what trusts this host by its address: nodes, servers, volumes on NFS."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.nodes import firewall, loaded
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class ConfineContainers:
    """Not on request: an agent is not started before its containers are kept apart."""

    name: str = "confine-containers"
    title: str = "Keep containers from nodes and servers of the site"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ("agent",)
    limit: int = 120

    def check(self, ctx: Context) -> list[Change]:
        return loaded.changes(ctx)

    def apply(self, ctx: Context) -> None:
        loaded.load(ctx)

    def undo(self, ctx: Context) -> None:
        if firewall.path(ctx).exists():
            loaded.unload(ctx)


STEP = ConfineContainers()
