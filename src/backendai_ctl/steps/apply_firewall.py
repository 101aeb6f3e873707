"""Keep the firewall's rules true to the site file, once the operator had them loaded."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl.context import Context
from backendai_ctl.nodes import firewall
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class ApplyFirewall:
    """A node that joins, a port that moves: rules of before would shut out, or let in, the wrong ones.

    Without `backendai-ctl node firewall --apply` there are none, and nothing is done.
    """

    name: str = "apply-firewall"
    title: str = "Load the rules of the firewall"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    limit: int = 120

    def check(self, ctx: Context) -> list[Change]:
        if not firewall.asked_for():
            return []
        if not ctx.node:
            return [Change(firewall.UNIT, "remove it: the site has no nodes any more")]
        return [
            Change(str(file.path), "write and load it")
            for file in firewall.wanted(ctx)
            if not file.same
        ]

    def apply(self, ctx: Context) -> None:
        if ctx.node:
            firewall.apply(ctx)
        else:
            firewall.remove(ctx)

    def undo(self, ctx: Context) -> None:
        firewall.remove(ctx)


STEP = ApplyFirewall()
