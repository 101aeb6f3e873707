"""Let only those with a password use this host's Valkey, and keep its content through a crash.

Debian's /etc/valkey/valkey.conf stays as it is, or dpkg would ask about it at every upgrade: a file
of ours includes it, and a drop-in of the unit names that file. It is root's; the server gets it as
a credential. What runs is changed on the fly, so that nothing is lost and no client waits.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl import credentials, servers
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.listeners import server_addresses
from backendai_ctl.steps import units
from backendai_ctl.steps.base import Change
from backendai_ctl.system import files, resp

UNIT = "valkey-server.service"
DROP_IN = "backendai.conf"
CREDENTIAL = "valkey.conf"
DUMP = Path("/var/lib/valkey/dump.rdb")
_REWRITE_LIMIT = 60  # seconds to write all content to the append-only file, at most
_CONFIG = """\
# Written by backendai-ctl; settings of yours belong into the file that is included.
include /etc/valkey/valkey.conf
requirepass "{password}"
appendonly yes
"""
_BIND = "bind {addresses}\n"  # where other nodes of the site need it
_LOOPBACK = ["127.0.0.1", "-::1"]
_DROP_IN = """\
# Written by backendai-ctl: see {config}.
{wait}[Service]
LoadCredential={credential}:{config}
ExecStart=
ExecStart=/usr/bin/valkey-server /run/credentials/{unit}/{credential} --supervised systemd --daemonize no
"""


def config(ctx: Context) -> Path:
    return ctx.paths.config / "valkey.conf"


def wanted(ctx: Context) -> list[units.File]:
    """The server's file first: the drop-in refers to it."""
    password = re.sub(r'(["\\])', r"\\\1", credentials.cache_password(ctx))
    bind = _bind(ctx)
    template = _DROP_IN.replace("{wait}", units.WAIT_FOR_NETWORK if bind else "")
    text = units.filled(template, config=config(ctx), credential=CREDENTIAL, unit=UNIT)
    settings = units.filled(_CONFIG, password=password)
    settings += units.filled(_BIND, addresses=" ".join(bind)) if bind else ""
    return [
        units.File(config(ctx), settings, mode=0o600),
        units.drop_in(UNIT, DROP_IN, text),
    ]


def _bind(ctx: Context) -> list[str]:
    """Addresses to listen on; none: as Debian has it."""
    more = server_addresses(ctx, "valkey")
    return [*_LOOPBACK, *more] if more else []


@dataclass(frozen=True)
class PrepareCache:
    name: str = "prepare-cache"
    title: str = "Set up Valkey"
    needs: tuple[str, ...] = ("create-secrets",)
    components: tuple[str, ...] = servers.USERS["valkey"]
    limit: int = 120

    def check(self, ctx: Context) -> list[Change]:
        if ctx.site.cache.mode == "external":
            return []
        if stale := units.stale(wanted(ctx), UNIT):
            return stale
        try:
            with _connect(ctx) as server:
                found = _differences(server, credentials.cache_password(ctx))
                if not found and not _bound(server, _bind(ctx)):
                    found.append(Change("Valkey", f"listen on {' '.join(_bind(ctx))}"))
                return found
        except OSError as failure:
            raise _unreachable(ctx, failure) from failure

    def apply(self, ctx: Context) -> None:
        # Before the files: started with them, the server reads its append-only file alone.
        try:
            with _connect(ctx) as server:
                if not _login(server, _known_passwords(ctx)):
                    raise Problem(
                        f"Valkey at {_address(ctx)} wants a password that we do not know",
                        hint="name a file that holds it: [cache] password_file in the site file",
                    )
                _keep_through_crash(server)
                server.call("CONFIG", "SET", "requirepass", credentials.cache_password(ctx))
                if not _bound(server, _bind(ctx)):  # after the password
                    server.call("CONFIG", "SET", "bind", " ".join(_bind(ctx)))
        except resp.Refused as refused:
            raise Problem(f"Valkey at {_address(ctx)}: {refused}") from refused
        except OSError as failure:
            if DUMP.exists() and not config(ctx).exists():
                raise _unreachable(ctx, failure) from failure
            units.write(wanted(ctx))
            raise _unreachable(ctx, failure) from failure
        units.write(wanted(ctx))

    def undo(self, ctx: Context) -> None:
        if ctx.site.cache.mode == "external":
            return
        known = _known_passwords(ctx)
        units.remove([units.drop_in(UNIT, DROP_IN, ""), units.File(config(ctx), "")])
        try:
            with _connect(ctx) as server:
                if _login(server, known):
                    if _bind(ctx):
                        server.call("CONFIG", "SET", "bind", " ".join(_LOOPBACK))
                    server.call("CONFIG", "SET", "requirepass", "")
                    server.call("CONFIG", "SET", "appendonly", "no")
        except OSError:
            return  # not running: it starts without our file
        except resp.Refused as refused:
            raise Problem(f"Valkey at {_address(ctx)}: {refused}") from refused


def _differences(server: resp.Connection, password: str) -> list[Change]:
    found = []
    if not _wants_password(server):
        found.append(Change("Valkey", "require a password"))
    elif not _login(server, [password]):
        return [Change("Valkey", "set its password")]
    if server.call("CONFIG", "GET", "appendonly") != ["appendonly", "yes"]:
        found.append(Change("Valkey", "keep its content through a crash (appendonly)"))
    return found


def _bound(server: resp.Connection, wanted: list[str]) -> bool:
    """Whether it listens on what is wanted; it does if nothing is."""
    return not wanted or server.call("CONFIG", "GET", "bind") == ["bind", " ".join(wanted)]


def _wants_password(server: resp.Connection) -> bool:
    try:
        server.call("PING")
    except resp.Refused as refused:
        if str(refused).startswith("NOAUTH"):
            return True
        raise
    return False


def _login(server: resp.Connection, passwords: list[str]) -> bool:
    """Log in with the first password that fits; also well if none is wanted."""
    if not _wants_password(server):
        return True
    for password in passwords:
        try:
            server.call("AUTH", password)
        except resp.Refused:
            continue
        return True
    return False


def _known_passwords(ctx: Context) -> list[str]:
    """Today's, then the one in our file, which differs when it was just replaced."""
    found = re.search(r'^requirepass "(.*)"$', files.read(config(ctx)) or "", re.MULTILINE)
    before = [re.sub(r"\\(.)", r"\1", found[1])] if found else []
    return [credentials.cache_password(ctx), *before]


def _keep_through_crash(server: resp.Connection) -> None:
    """Turn on the append-only file and wait until it holds all content."""
    server.call("CONFIG", "SET", "appendonly", "yes")
    until = time.monotonic() + _REWRITE_LIMIT
    while True:
        said = str(server.call("INFO", "persistence"))
        busy = ("aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1")
        if not any(word in said for word in busy):
            break
        if time.monotonic() > until:
            raise Pending(
                f"Valkey did not write its append-only file within {_REWRITE_LIMIT} s",
                hint="run: backendai-ctl reconfigure",
            )
        time.sleep(0.1)
    if "aof_last_bgrewrite_status:ok" not in said:
        raise Problem(
            "Valkey cannot write its append-only file",
            hint="see: journalctl -u valkey-server, /var/log/valkey; free some disk space",
        )


def _connect(ctx: Context) -> resp.Connection:
    cache = ctx.site.cache
    return resp.Connection(cache.host, cache.port, tls=servers.client_tls(cache))


def _address(ctx: Context) -> str:
    return f"{ctx.site.cache.host}:{ctx.site.cache.port}"


def _unreachable(ctx: Context, failure: OSError) -> Pending:
    return Pending(
        f"Valkey at {_address(ctx)}: {servers.reason(failure)}",
        hint="see: systemctl status valkey-server; then run: backendai-ctl reconfigure",
    )


STEP = PrepareCache()
