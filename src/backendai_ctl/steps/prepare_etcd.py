"""Run the site's own etcd, and let only those with a password read it: it holds the site's secrets.

Tokens: Backend.AI logs in to etcd once, when a service starts, and never again. etcd's simple
tokens end after five minutes without use and whenever etcd restarts, and then every request of
the service fails until it is restarted. Signed tokens (JWT) last. They end when users or roles of
etcd change, so the revision of these is kept in a file that belongs to what services are started
with: after a change the next run restarts them.
"""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.etcd import access, users
from backendai_ctl.etcd.users import login_flag
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files
from backendai_ctl.services.serving import Serve


class PrepareEtcd(Serve):
    """As any server of ours, and then its users."""

    name = "prepare-etcd"
    title = "Set up etcd"

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.using(self.server)

    server = "etcd"

    def check(self, ctx: Context) -> list[Change]:
        if found := super().check(ctx):
            return found
        if not access.administered(ctx):
            access.connect(ctx).prefix(access.services_prefix(ctx) + "config/redis/")
            return []
        found = [Change(*row) for row in users.missing(ctx)]
        if not found and files.read(login_flag(ctx)) != _login(ctx):
            found.append(Change("etcd logins", "users changed: services have to log in again"))
        return found

    def apply(self, ctx: Context) -> None:
        super().apply(ctx)
        if access.administered(ctx):
            users.create(ctx)
            files.write(login_flag(ctx), _login(ctx), mode=0o600)

    def undo(self, ctx: Context) -> None:
        """Logins stay, as the keys do: both are data."""
        login_flag(ctx).unlink(missing_ok=True)
        super().undo(ctx)


def _login(ctx: Context) -> str:
    return f"{users.revision(access.connect(ctx))}\n"
