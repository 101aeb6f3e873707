"""Checks of what sessions on several nodes need of their nodes."""

from __future__ import annotations

import os

from backendai_ctl.context import Context
from backendai_ctl.result import Result, ok, skip, warn
from backendai_ctl.services import links


def able(ctx: Context) -> Result:
    """This node can join a container to those of its session elsewhere: its kernel is tried."""
    if not ctx.here("agent"):
        return skip("no agent here")
    if os.geteuid():
        return skip("only root may ask")
    try:
        why = links.able(links.SOCKET)
    except OSError as error:
        hint = f"run: backendai-ctl reconfigure; see: systemctl status {links.UNIT}"
        return warn(f"{links.SOCKET}: {error.strerror or error}", hint)
    if why:
        return warn(f"no session here spans nodes: {why}", f"see: journalctl -t {links.TAG}")
    return ok(f"UDP port {ctx.site.agent.cluster_port}")
