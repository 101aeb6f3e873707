"""Whether PostgreSQL, Valkey, etcd and Docker answer, without logging in.

What needs a password is doctor's; this is for status, which everyone may call.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.site.schema import Server
from backendai_ctl.site.values import split_host_port
from backendai_ctl.system import http, resp

DOCKER = Path("/run/docker.sock")
USERS = {  # which components use it
    "postgresql": ("manager", "appproxy-coordinator"),
    "valkey": (
        "manager",
        "storage-proxy",
        "webserver",
        "appproxy-coordinator",
        "appproxy-worker",
        "agent",
    ),
    "etcd": ("manager", "storage-proxy", "agent"),
    "docker": ("agent",),
}
UNITS = {
    "postgresql": "postgresql.service",
    "valkey": "valkey-server.service",
    "etcd": "etcd.service",
    "docker": "docker.service",
}
_SSL_REQUEST = struct.pack(">ii", 8, 80877103)


@dataclass(frozen=True)
class Backing:
    """One server that components of this host use."""

    name: str
    mode: str  # local or external
    address: str  # for people
    ask: Callable[[float], str]  # limit in seconds -> what it said; raises OSError and such

    @property
    def unit(self) -> str:
        """Its unit on this host; empty if it is elsewhere."""
        return UNITS[self.name] if self.mode == "local" else ""


def needed(ctx: Context) -> list[Backing]:
    """The servers that the components of this host use, as the site file names them."""
    return [
        make(ctx)
        for name, make in _MAKERS.items()
        if any(ctx.here(component) for component in USERS[name])
    ]


def client_tls(server: Server) -> ssl.SSLContext | None:
    """How to talk with a server of the site file; None: plain. OSError if its CA is unreadable."""
    if server.tls == "off":
        return None
    if server.tls == "on":
        return http.unchecked()
    return ssl.create_default_context(cafile=str(server.ca) if server.ca else None)


def postgresql(host: str, port: int, limit: float) -> str:
    """Ask PostgreSQL whether it has TLS: a question that needs no login. Raises OSError."""
    with socket.create_connection((host, port), timeout=limit) as connection:
        connection.settimeout(limit)
        connection.sendall(_SSL_REQUEST)
        answer = connection.recv(16)  # PostgreSQL sends one byte; SSH, say, begins with S as well
    if answer not in (b"S", b"N"):
        raise ConnectionError("this is no PostgreSQL server")
    return "answers"


def valkey(host: str, port: int, limit: float, tls: ssl.SSLContext | None = None) -> str:
    """PING; that a password is wanted is an answer as well. Raises OSError."""
    with resp.Connection(host, port, limit=limit, tls=tls) as connection:
        try:
            connection.call("PING")
        except resp.Refused as refused:
            if not str(refused).startswith("NOAUTH"):
                raise ConnectionError(str(refused)) from refused
    return "answers"


def etcd(endpoint: str, limit: float, tls: ssl.SSLContext | None = None) -> str:
    """Ask one member whether it has a leader and can read. Raises OSError, HTTPException."""
    scheme = "https" if tls else "http"
    status, body = http.get(f"{scheme}://{endpoint}/health", limit=limit, tls=tls)
    if status != 200 or _json(body).get("health") != "true":
        raise ConnectionError(f"unhealthy: {body.strip()[:200] or status}")
    _, body = http.get(f"{scheme}://{endpoint}/version", limit=limit, tls=tls)
    return f"etcd {_json(body).get('etcdserver', '?')}"


def docker(path: Path, limit: float) -> str:
    """Docker's version, through its socket. Raises OSError, HTTPException."""
    status, body = http.get("http://localhost/version", limit=limit, local=path)
    if status != 200:
        raise ConnectionError(f"HTTP {status}")
    return f"Docker {_json(body).get('Version', '?')}"


def reason(failure: BaseException) -> str:
    """Why a server did not answer, in a few words."""
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__


FAILURES = (OSError, HTTPException, ValueError, resp.Refused)


def _postgresql(ctx: Context) -> Backing:
    db = ctx.site.database
    return Backing(
        "postgresql", db.mode, f"{db.host}:{db.port}", lambda s: postgresql(db.host, db.port, s)
    )


def _valkey(ctx: Context) -> Backing:
    cache = ctx.site.cache
    if cache.sentinel is None:
        return Backing(
            "valkey",
            cache.mode,
            f"{cache.host}:{cache.port}",
            lambda s: valkey(cache.host, cache.port, s, client_tls(cache)),
        )
    nodes = cache.sentinel.nodes
    return Backing(
        "valkey",
        cache.mode,
        ",".join(nodes),
        lambda s: _all(nodes, lambda n: _sentinel(n, s, client_tls(cache))),
    )


def _sentinel(node: str, limit: float, tls: ssl.SSLContext | None) -> str:
    return valkey(*split_host_port(node), limit, tls)


def _etcd(ctx: Context) -> Backing:
    server = ctx.site.etcd
    members = server.endpoints
    return Backing(
        "etcd",
        server.mode,
        ",".join(members),
        lambda s: _all(members, lambda m: etcd(m, s, client_tls(server))),
    )


def _docker(_ctx: Context) -> Backing:
    return Backing("docker", "local", str(DOCKER), lambda s: docker(DOCKER, s))


def _all(members: list[str], ask: Callable[[str], str]) -> str:
    """Ask each; fine when most of them answer, and those that do not are named."""
    said, missing = "", []
    for member in members:
        try:
            said = ask(member)
        except FAILURES as failure:
            missing.append(f"{member}: {reason(failure)}")
    if 2 * len(missing) >= len(members):
        raise ConnectionError("; ".join(missing))
    return "; ".join([said, *missing])


def _json(text: str) -> dict[str, str]:
    data = json.loads(text)
    return data if isinstance(data, dict) else {}


_MAKERS: dict[str, Callable[[Context], Backing]] = {
    "postgresql": _postgresql,
    "valkey": _valkey,
    "etcd": _etcd,
    "docker": _docker,
}
