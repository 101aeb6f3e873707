"""Keep sessions from what trusts this host by its address: nodes, servers, volumes on NFS."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.firewall import loaded, ruleset


class ConfineContainers(Step):
    """Not on request: an agent is not started before its containers are kept apart."""

    name = "confine-containers"
    title = "Keep containers from nodes and servers of the site"
    components = ("agent",)
    timeout = 120

    def check(self, ctx: Context) -> list[Change]:
        return loaded.changes(ctx)

    def apply(self, ctx: Context) -> None:
        loaded.load(ctx)

    def undo(self, ctx: Context) -> None:
        if ruleset.path(ctx).exists():
            loaded.unload(ctx)
