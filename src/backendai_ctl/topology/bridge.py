"""The containers' bridge: where sessions ask the agent of this host for their metadata.

Docker gives it an address when it starts: that of `bip` in its settings, else one of its own choice.
"""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.topology import container_engine
from backendai_ctl.topology.here import interfaces

NET = 16  # bits of its network, as Docker makes it
USUAL = "172.17.0.1"
_NAME = "docker0"


def address(ctx: Context) -> str:
    """That of the site file; else what the bridge has, will have, or usually has."""
    return ctx.site.agent.bridge or found(ctx) or configured(ctx) or USUAL


def found(ctx: Context) -> str:
    """What the bridge has now; empty if there is none yet."""
    name = str(container_engine.of(ctx.facts).configured().get("bridge") or _NAME)
    return dict(interfaces()).get(name, "")


def configured(ctx: Context) -> str:
    """What Docker will give it, as its administrator wants; empty if that is left to Docker."""
    return str(container_engine.of(ctx.facts).configured().get("bip") or "").partition("/")[0]
