"""Run the container engine that the site brings along, where the host has no Docker of its own."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.services.serving import Serve
from backendai_ctl.topology import container_engine


class PrepareEngine(Serve):
    """As any server of ours, but that what runs in it goes on when it stops."""

    name = "prepare-engine"
    title = "Set up the container engine"
    needs = ("create-user",)

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.using(self.server)

    server = container_engine.NAME

    def undo(self, ctx: Context) -> None:
        """End its containers too: without it nobody could."""
        used = container_engine.of(ctx.facts)
        if used.own and ctx.paths.ready(self.server).exists():
            container_engine.end_containers(used)
        super().undo(ctx)
