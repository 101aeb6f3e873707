"""Run the container engine that the site brings along, where the host has no Docker of its own."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl import container_engine
from backendai_ctl.context import Context
from backendai_ctl.steps.serving import Serve


@dataclass(frozen=True)
class PrepareEngine(Serve):
    """As any server of ours, but that what runs in it goes on when it stops."""

    def undo(self, ctx: Context) -> None:
        """End its containers too: without it nobody could."""
        used = container_engine.of(ctx.facts)
        if used.own and ctx.paths.ready(self.server).exists():
            container_engine.end_containers(used)
        super().undo(ctx)


STEP = PrepareEngine(
    container_engine.NAME, "prepare-engine", "Set up the container engine", needs=("create-user",)
)
