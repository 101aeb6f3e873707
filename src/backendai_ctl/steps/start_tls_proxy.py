"""Start the TLS proxy to servers that Backend.AI's own clients cannot reach by themselves.

A server whose certificate is not good is refused here, with the key that is to blame. One that does
not answer is nobody's fault yet: the way is open once it does.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.probes import servers
from backendai_ctl.rendering.places import CREDENTIALS
from backendai_ctl.services import dropins
from backendai_ctl.site.values import bracketed, split_host_port
from backendai_ctl.topology import tls_proxy
from backendai_ctl.topology.addresses import host_authorities
from backendai_ctl.topology.tls_proxy import UNIT, Route

DROP_IN = "site.conf"
# Of 26.9.6-1, which called it a tunnel. While it runs it holds the ports.
EARLIER = "backendai-tunnel.service"
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_NAMING = {"cache": "host", "etcd": "endpoints"}


def config(ctx: Context) -> Path:
    return ctx.paths.config / "tls-proxy.json"


def flag(ctx: Context) -> Path:
    """Lets the unit start; holds the fingerprint of what it was started with."""
    return ctx.paths.ctl / "ready/tls-proxy"


def wanted(ctx: Context) -> list[units.File]:
    """The TLS proxy's file and its unit's drop-in; none if no server needs it."""
    routes = tls_proxy.routes(ctx.site)
    if not routes:
        return []
    text = json.dumps([_row(route) for route in routes], indent=2) + "\n"
    return [
        units.File(config(ctx), text, mode=0o600),
        units.drop_in(UNIT, DROP_IN, _drop_in(routes)),
    ]


class StartTlsProxy(Step):
    name = "start-tls-proxy"
    title = "Start the TLS proxy to servers"
    timeout = 90

    def concerns(self, facts: Facts) -> tuple[str, ...]:
        return facts.using("valkey")

    def check(self, ctx: Context) -> list[Change]:
        earlier = [Change(str(path), f"have {UNIT} in its place") for path in _earlier(ctx)]
        if not wanted(ctx):
            ours = [path for path in _ours(ctx) if path.exists()]
            return [Change(str(path), "remove it") for path in (*_earlier(ctx), *ours)]
        for route in tls_proxy.routes(ctx.site):
            _refuse_bad_certificates(ctx, route)
        if stale := [*earlier, *units.stale(wanted(ctx), UNIT)]:
            return stale
        if (files.read(flag(ctx)) or "").strip() != _fingerprint(ctx):
            return [Change(UNIT, "restart it: its configuration or version changed")]
        shown = systemd.properties(UNIT, ["ActiveState"])
        if shown.get("ActiveState", "active") != "active":
            return [Change(UNIT, f"start it: it is {shown['ActiveState']}")]
        return []

    def apply(self, ctx: Context) -> None:
        if not wanted(ctx):
            self.undo(ctx)
            return
        _retire(ctx)
        units.write(wanted(ctx))
        files.write(flag(ctx), _fingerprint(ctx) + "\n", mode=0o600)
        if systemd.booted():  # else it starts with the services
            systemd.forget_failures([UNIT])
            systemd.systemctl("restart", UNIT)

    def undo(self, ctx: Context) -> None:
        _retire(ctx)
        if systemd.booted() and any(path.exists() for path in _ours(ctx)):
            systemd.systemctl("stop", UNIT)
        for path in (flag(ctx), config(ctx)):
            path.unlink(missing_ok=True)
        units.remove([units.drop_in(UNIT, DROP_IN, "")])


def _ours(ctx: Context) -> list[Path]:
    return [config(ctx), flag(ctx), units.drop_in(UNIT, DROP_IN, "").path]


def _earlier(ctx: Context) -> list[Path]:
    """What is left of the unit of an earlier release."""
    drop_in = units.drop_in(EARLIER, DROP_IN, "").path
    made = (drop_in, ctx.paths.config / "tunnel.json", ctx.paths.ctl / "ready/tunnel")
    return [path for path in made if path.exists()]


def _retire(ctx: Context) -> None:
    """Stop the unit of an earlier release, and take away what is left of it once it has stopped."""
    if not (left := _earlier(ctx)):
        return
    if systemd.state(EARLIER) not in ("", "inactive", "failed"):
        systemd.systemctl("stop", EARLIER)
    units.remove([units.File(path, "") for path in left])


def _row(route: Route) -> dict[str, Any]:
    """As backendai_serve.tls_proxy reads it."""
    given = {
        name.removeprefix(f"{route.section}-"): str(CREDENTIALS / UNIT / name)
        for name in route.files
    }
    tls = {
        "verify": route.server.tls == "verify",
        "ca": given.get("ca.crt", str(host_authorities())),
        "certificate": given.get("client.crt", ""),
        "key": given.get("client.key", ""),
        "alpn": route.alpn,
    }
    return {
        "name": route.section,
        "port": route.port,
        "nodes": list(route.nodes),
        "service": route.service,
        "password": given.get("password", ""),
        "tls": None if route.server.tls == "off" else tls,
    }


def _drop_in(routes: list[Route]) -> str:
    lines = [f"{files.HEAD}[Service]"]
    for route in routes:
        lines += [f"LoadCredential={name}:{path}" for name, path in route.files.items()]
    hosts = dropins.beyond_loopback(host for route in routes for host in route.hosts)
    # Sentinels name any server as the master.
    peers = ["any"] if any(route.service for route in routes) else hosts
    lines += [f"IPAddressAllow={peer}" for peer in peers]
    return "\n".join(lines) + "\n"


def _fingerprint(ctx: Context) -> str:
    """Of all that a running TLS proxy was given. Hides what it is made of."""
    digest = hashlib.sha256(ctx.facts.full_version.encode())
    for file in wanted(ctx):
        digest.update(f"\0{file.text}".encode())
    for route in tls_proxy.routes(ctx.site):
        for name, path in sorted(route.files.items()):
            digest.update(f"\0{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _refuse_bad_certificates(ctx: Context, route: Route) -> None:
    section, sentinel = route.section, bool(route.service)
    for key, node in _servers(ctx, route):
        try:
            servers.handshake(*split_host_port(node), servers.client_tls(route.server))
        except ssl.SSLCertVerificationError as error:
            key = key if error.verify_code in _WRONG_NAME else "ca"
            raise Problem(
                f"{section}.{key}: the certificate of {node} is refused: {error.verify_message}",
                hint=f"correct {key} in [{section}] of the site file, or the server's certificate"
                + (" (sentinels name the master by what its certificate is for)" * sentinel),
            ) from error
        except ssl.SSLError as error:
            raise Problem(
                f"{section}.tls: {node}: {error.reason or error}",
                hint=f"see tls, ca, certificate and key in [{section}] of the site file",
            ) from error
        except OSError:
            continue


def _servers(ctx: Context, route: Route) -> Iterator[tuple[str, str]]:
    """Key that names it, and HOST:PORT, of all that is connected to."""
    if route.server.tls == "off":
        return
    naming = "sentinel.nodes" if route.service else _NAMING[route.section]
    for node in route.nodes:
        yield naming, node
    if route.service:
        try:
            host, port = servers.master(ctx, timeout=2.0)
        except servers.FAILURES:
            return
        yield "sentinel.service", f"{bracketed(host)}:{port}"
