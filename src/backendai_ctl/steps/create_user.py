"""Make the accounts that services and servers run as, where no other one is in the way."""

from __future__ import annotations

from backendai_ctl import accounts
from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step


class CreateUser(Step):
    """Of every run, whichever steps it was asked for: others give files to the account."""

    name = "create-user"
    title = "Make the services' accounts"
    timeout = 90

    def check(self, ctx: Context) -> list[Change]:
        found = []
        if not accounts.refuse(ctx.facts).account(ctx.facts.user):
            uid, gid = ctx.numbers
            found.append(Change(ctx.facts.user, f"make the account, {uid}:{gid}"))
        missing = accounts.missing_own(ctx.facts)
        return [*found, *(Change(service.user, "make the account") for service in missing)]

    def apply(self, ctx: Context) -> None:
        accounts.make(ctx.facts)
        accounts.make_own(ctx.facts)

    def undo(self, ctx: Context) -> None:
        """The accounts stay: files of users, and databases, carry their numbers."""
