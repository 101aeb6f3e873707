"""Run the servers that the site does without, wherever their packages are: Prometheus and the like.

It comes late and keeps no service from starting: without them figures are missing, and nothing else.
"""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import NO_COMPONENT, Step
from backendai_ctl.errors import Problem
from backendai_ctl.services import serving
from backendai_ctl.topology import holders


class ServeBeside(Step):
    name = "serve-beside"
    title = "Start what the services do without"
    needs = ("create-user", "create-secrets")
    components = NO_COMPONENT
    timeout = 2 * serving.STEP_TIMEOUT

    def check(self, ctx: Context) -> list[Change]:
        return [change for name in _ready(ctx) for change in serving.todo(ctx, name)]

    def apply(self, ctx: Context) -> None:
        """One that does not become well keeps none of the others."""
        found = []
        for name in _ready(ctx):
            try:
                serving.run(ctx, name)
            except Problem as problem:
                found.append(problem)
        if found:
            raise found[0]

    def undo(self, ctx: Context) -> None:
        for name in ctx.facts.optional():
            serving.stop(ctx, name)


def _ready(ctx: Context) -> list[str]:
    """Those that this host has the secrets for; a node that joined before gets them when it joins again."""
    return [
        name
        for name in ctx.facts.optional()
        if not holders.joined(ctx) or all(map(ctx.secrets.exists, ctx.facts.servers[name].secrets))
    ]
