"""Keep the firewall's rules of nodes true to the site file, once the operator had them loaded."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.firewall import loaded, ruleset


class ApplyFirewall(Step):
    """A node that joins, a port that moves: rules of before would shut out, or let in, the wrong ones.

    Without `backendai-ctl node firewall --apply` there are none, and nothing is done; what containers
    must not reach is confine-containers.
    """

    name = "apply-firewall"
    title = "Load the rules of the firewall"
    timeout = 120

    def check(self, ctx: Context) -> list[Change]:
        if not ruleset.needed(ctx):
            return [Change(ruleset.TABLE, "remove it")] if ruleset.path(ctx).exists() else []
        return loaded.changes(ctx) if ruleset.asked_for(ctx) else []

    def apply(self, ctx: Context) -> None:
        if ruleset.needed(ctx):
            loaded.load(ctx)
        else:
            loaded.unload(ctx)

    def undo(self, ctx: Context) -> None:
        loaded.unload(ctx)
