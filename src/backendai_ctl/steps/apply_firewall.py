"""Keep the firewall's rules of nodes true to the site file, once the operator had them loaded."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.nodes import firewall, loaded
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class ApplyFirewall:
    """A node that joins, a port that moves: rules of before would shut out, or let in, the wrong ones.

    Without `backendai-ctl node firewall --apply` there are none, and nothing is done; what containers
    must not reach is confine-containers.
    """

    name: str = "apply-firewall"
    title: str = "Load the rules of the firewall"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    limit: int = 120

    def check(self, ctx: Context) -> list[Change]:
        if not firewall.needed(ctx):
            return [Change(firewall.TABLE, "remove it")] if firewall.path(ctx).exists() else []
        return loaded.changes(ctx) if firewall.asked_for(ctx) else []

    def apply(self, ctx: Context) -> None:
        if firewall.needed(ctx):
            loaded.load(ctx)
        else:
            loaded.unload(ctx)

    def undo(self, ctx: Context) -> None:
        loaded.unload(ctx)


STEP = ApplyFirewall()
