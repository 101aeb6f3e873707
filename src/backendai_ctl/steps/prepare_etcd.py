"""Let only those with a password read this host's etcd: it holds the secrets of the site.

Tokens: Backend.AI logs in to etcd once, when a service starts, and never again. etcd's simple
tokens end after five minutes without use and whenever etcd restarts, and then every request of
the service fails until it is restarted. Signed tokens (JWT) last. They end when users or roles of
etcd change, so the revision of these is kept in a file that belongs to what services are started
with: after a change the next run restarts them.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl import servers
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.etcd import access, users
from backendai_ctl.etcd.client import claims
from backendai_ctl.listeners import LOOPBACK, server_addresses
from backendai_ctl.site.values import bracketed, split_host_port
from backendai_ctl.steps import units
from backendai_ctl.steps.base import Change
from backendai_ctl.system import files, systemd

UNIT = "etcd.service"
DROP_IN = "backendai.conf"
KEY = "etcd-token"  # secret that signs tokens
YEARS = 10  # a token is valid
_ENOUGH = 365 * 86400  # seconds that a new token has to be valid at least
_DROP_IN = """\
# Written by backendai-ctl; /etc/default/etcd overrides it.
{wait}[Service]
LoadCredential={key}:{path}
Environment="ETCD_AUTH_TOKEN=jwt,sign-method=HS256,priv-key=/run/credentials/{unit}/{key},ttl={hours}h"
Environment=ETCD_AUTO_COMPACTION_RETENTION=1
"""
_LISTEN = """\
Environment=ETCD_LISTEN_CLIENT_URLS={listen}
Environment=ETCD_ADVERTISE_CLIENT_URLS={advertise}
"""


def login_mark(ctx: Context) -> Path:
    """Holds the revision of etcd's users with which the services of this host logged in."""
    return ctx.paths.ctl / "etcd-login"


def drop_in(ctx: Context) -> units.File:
    more = [f"http://{bracketed(a)}:{_port(ctx)}" for a in server_addresses(ctx, "etcd")]
    text = units.filled(
        _DROP_IN.replace("{wait}", units.WAIT_FOR_NETWORK if more else ""),
        key=KEY,
        path=ctx.secrets.path(KEY),
        unit=UNIT,
        hours=YEARS * 365 * 24,
    )
    if more:
        listen = [f"http://{LOOPBACK}:{_port(ctx)}", *more]
        text += units.filled(_LISTEN, listen=",".join(listen), advertise=",".join(more))
    return units.drop_in(UNIT, DROP_IN, text)


def _port(ctx: Context) -> int:
    return split_host_port(ctx.site.etcd.endpoints[0])[1]


def _deaf(ctx: Context) -> bool:
    """Whether it does not listen yet where other nodes need it."""
    for address in server_addresses(ctx, "etcd"):
        try:
            socket.create_connection((address, _port(ctx)), timeout=5).close()
        except OSError:
            return True
    return False


@dataclass(frozen=True)
class PrepareEtcd:
    name: str = "prepare-etcd"
    title: str = "Set up etcd"
    needs: tuple[str, ...] = ("create-secrets",)
    components: tuple[str, ...] = servers.USERS["etcd"]
    limit: int = 120

    def check(self, ctx: Context) -> list[Change]:
        if not access.administered(ctx):
            access.connect(ctx).prefix(access.services_prefix(ctx) + "config/redis/")
            return []
        if stale := units.stale([drop_in(ctx)], UNIT):
            return stale  # first: it can be done without a running etcd as well
        found = [Change(*row) for row in users.missing(ctx)]
        if not found and not _lasting(access.connect(ctx).login()):
            found.append(Change(UNIT, "restart it: so far logins last five minutes only"))
        if not found and _deaf(ctx):
            found.append(Change(UNIT, "restart it: other nodes cannot reach it yet"))
        if not found and files.read(login_mark(ctx)) != _login(ctx):
            found.append(Change("etcd logins", "users changed: services have to log in again"))
        return found

    def apply(self, ctx: Context) -> None:
        if units.stale([drop_in(ctx)], UNIT):
            if not ctx.secrets.exists(KEY):
                raise Problem(
                    f"{ctx.secrets.path(KEY)}: is missing", hint="run: backendai-ctl reconfigure"
                )
            units.write([drop_in(ctx)])
        users.create(ctx)
        if not _lasting(access.connect(ctx).login()) or _deaf(ctx):
            _restart(ctx)
        files.write(login_mark(ctx), _login(ctx), mode=0o600)

    def undo(self, ctx: Context) -> None:
        login_mark(ctx).unlink(missing_ok=True)
        if not access.administered(ctx):
            return
        units.remove([drop_in(ctx)])
        users.remove(ctx)


def _login(ctx: Context) -> str:
    return f"{users.revision(access.connect(ctx))}\n"


def _lasting(token: str) -> bool:
    return int(claims(token).get("exp", 0)) > time.time() + _ENOUGH


def _restart(ctx: Context) -> None:
    if not systemd.booted():
        raise Pending(
            "etcd runs, but not by systemd: it has to be restarted",
            hint="restart etcd, then run: backendai-ctl reconfigure",
        )
    systemd.systemctl("restart", UNIT)
    if not _lasting(access.connect(ctx).login()):
        raise Problem(
            "etcd still gives out short-lived tokens",
            hint="take --auth-token out of /etc/default/etcd, then run: backendai-ctl reconfigure",
        )
    if _deaf(ctx):
        raise Problem(
            f"etcd does not listen on {', '.join(server_addresses(ctx, 'etcd'))}",
            hint="take --listen-client-urls out of /etc/default/etcd, then run: backendai-ctl "
            "reconfigure",
        )


STEP = PrepareEtcd()
