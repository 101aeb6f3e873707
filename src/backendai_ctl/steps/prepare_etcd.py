"""Run the site's own etcd, and let only those with a password read it: it holds the site's secrets.

Tokens: Backend.AI logs in to etcd once, when a service starts, and never again. etcd's simple
tokens end after five minutes without use and whenever etcd restarts, and then every request of
the service fails until it is restarted. Signed tokens (JWT) last. They end when users or roles of
etcd change, so the revision of these is kept in a file that belongs to what services are started
with: after a change the next run restarts them.
"""

from __future__ import annotations

from dataclasses import dataclass

from backendai_ctl import servers
from backendai_ctl.context import Context
from backendai_ctl.etcd import access, users
from backendai_ctl.etcd.users import login_mark
from backendai_ctl.steps import serving
from backendai_ctl.steps.base import Change
from backendai_ctl.system import files

SERVER = "etcd"


@dataclass(frozen=True)
class PrepareEtcd:
    name: str = "prepare-etcd"
    title: str = "Set up etcd"
    needs: tuple[str, ...] = ("create-user", "create-secrets", "move-servers")
    components: tuple[str, ...] = servers.USERS[SERVER]
    limit: int = serving.STEP_LIMIT

    def check(self, ctx: Context) -> list[Change]:
        if found := serving.todo(ctx, SERVER):
            return found
        if not access.administered(ctx):
            access.connect(ctx).prefix(access.services_prefix(ctx) + "config/redis/")
            return []
        found = [Change(*row) for row in users.missing(ctx)]
        if not found and files.read(login_mark(ctx)) != _login(ctx):
            found.append(Change("etcd logins", "users changed: services have to log in again"))
        return found

    def apply(self, ctx: Context) -> None:
        serving.run(ctx, SERVER)
        if access.administered(ctx):
            users.create(ctx)
            files.write(login_mark(ctx), _login(ctx), mode=0o600)

    def undo(self, ctx: Context) -> None:
        """Logins stay, as the keys do: both are data."""
        login_mark(ctx).unlink(missing_ok=True)
        serving.stop(ctx, SERVER)


def _login(ctx: Context) -> str:
    return f"{users.revision(access.connect(ctx))}\n"


STEP = PrepareEtcd()
