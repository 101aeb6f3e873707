"""Take a site's data out of Debian's own servers, once; see backendai_ctl.moving."""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.database.programs import TIMEOUT
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Pending
from backendai_ctl.facts import Facts
from backendai_ctl.moving import debian, etcd, move, postgresql, record, valkey
from backendai_ctl.moving.evidence import STEP as NAME
from backendai_ctl.moving.evidence import find
from backendai_ctl.platform import systemd


class MoveServers(Step):
    """Before everything that would start the site's own servers, or tell services of them."""

    name = NAME
    title = "Move the data out of Debian's servers"
    needs = ("create-user", "create-secrets")
    timeout = 2 * TIMEOUT

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return move.users(facts)

    def check(self, ctx: Context) -> list[Change]:
        found = find(ctx)
        how = "copy it to the site's own server, compare, then stop this one"
        if record.read(ctx).state == record.MOVED:
            how = "stop it: its data is in the site's own server"
        return [
            Change(f"{debian.PACKAGES[f.name].title} of Debian ({f.address})", how) for f in found
        ]

    def apply(self, ctx: Context) -> None:
        if not systemd.booted():
            raise Pending(
                "no systemd is running here: the data moves at the next boot",
                hint="boot this system",
            )
        move.move(ctx, find(ctx))

    def undo(self, ctx: Context) -> None:
        """What the earlier release wrote for Debian's servers goes; they run on as they are."""
        valkey.undo(ctx)
        etcd.undo()
        postgresql.undo()
