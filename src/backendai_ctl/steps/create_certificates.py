"""Make the certificates of what browsers reach; see backendai_ctl.pki."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.facts import Facts
from backendai_ctl.pki import issuing


class CreateCertificates(Step):
    """The authority lives ten years and is replaced only if it was made by a clock that was ahead."""

    name = "create-certificates"
    title = "Create certificates"
    timeout = 30

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.certified()

    def check(self, ctx: Context) -> list[Change]:
        return [change for change, _ in issuing.work(ctx)]

    def apply(self, ctx: Context) -> None:
        # One at a time: what a file becomes depends on those before it.
        while work := issuing.work(ctx):
            work[0][1]()

    def undo(self, ctx: Context) -> None:
        issuing.remove(ctx)
