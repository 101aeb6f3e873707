"""Make the account that the services run as, where no other one is in the way."""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.steps.base import Change


@dataclass(frozen=True)
class CreateUser:
    """Of every run, whichever steps it was asked for: others give files to the account."""

    name: str = "create-user"
    title: str = "Make the services' account"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    limit: int = 90

    def check(self, ctx: Context) -> list[Change]:
        if accounts.refuse(ctx.facts).account(ctx.facts.user):
            return []
        uid, gid = ctx.numbers
        return [Change(ctx.facts.user, f"make the account, {uid}:{gid}")]

    def apply(self, ctx: Context) -> None:
        accounts.make(ctx.facts)

    def undo(self, ctx: Context) -> None:
        """The account stays: files of users carry its number."""


STEP = CreateUser()
