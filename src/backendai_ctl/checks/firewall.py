"""Checks of the rules of nftables: what the kernel has, not what a unit says."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.result import Result, fail, ok, skip, warn

APPLY = "run: backendai-ctl node firewall --apply"
_AGAIN = "run: backendai-ctl reconfigure"


def containers(ctx: Context) -> Result:
    """Sessions are kept from nodes, servers and volumes on NFS, as the site file has them now."""
    if not ctx.here("agent"):
        return skip("no agent here")
    if not loaded.may_look():
        return skip("only root may look")
    if why := loaded.amiss(ctx):
        return fail(f"{why}: sessions reach what trusts this host by its address", _AGAIN)
    if todo := loaded.unwritten(ctx):
        saw = ", ".join(change.what for change in todo)
        return warn(f"{saw}: not as the site file, or a name in it, says now", _AGAIN)
    return ok(f"table {ruleset.TABLE}")


def nodes(ctx: Context) -> Result:
    """Ports of this node are closed to all but the other nodes."""
    if not ruleset.asked_for(ctx):
        saw = "the firewall of nodes is not loaded: services are open to the whole network"
        return warn(saw, f"if no other firewall closes them, {APPLY}")
    if not loaded.may_look():
        return skip("only root may look")
    if why := loaded.amiss(ctx):
        return fail(why, _AGAIN)
    return ok(f"table {ruleset.TABLE}")
