"""Let containers of one session on several nodes reach each other."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.services import links


class LinkSessions(Step):
    """After the rules of the firewall, which say who may send into such sessions."""

    name = "link-sessions"
    title = "Let sessions span nodes"
    needs = ("create-user", "confine-containers")
    components = ("agent",)
    timeout = 120

    def check(self, ctx: Context) -> list[Change]:
        return links.changes(ctx)

    def apply(self, ctx: Context) -> None:
        links.start(ctx)

    def undo(self, ctx: Context) -> None:
        links.stop(ctx)
