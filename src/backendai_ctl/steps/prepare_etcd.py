"""Run the site's own etcd, and let only those with a password read it: it holds the site's secrets.

Each service has a login of its own, and rights to the keys it needs. Tokens are signed (JWT) and last for
years: etcd's simple ones end after five minutes without use and whenever etcd restarts. All of them end when
users or roles of etcd change; then services log in again (backendai_serve.logins).
"""

from __future__ import annotations

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.etcd import access, users
from backendai_ctl.facts import Facts
from backendai_ctl.services.serving import Serve


class PrepareEtcd(Serve):
    """As any server of ours, and then its users, which outlive `undo` as its keys do: both are data."""

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
        return [Change(*row) for row in users.missing(ctx)]

    def apply(self, ctx: Context) -> None:
        super().apply(ctx)
        if access.administered(ctx):
            users.create(ctx)
