"""Whether PostgreSQL, Valkey, etcd and Docker answer, without logging in.

What needs a password is doctor's; this is for status, which everyone may call.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path

from backendai_ctl import credentials
from backendai_ctl.context import Context
from backendai_ctl.platform import http, pgwire, resp
from backendai_ctl.site.schema import Proxied, Server
from backendai_ctl.site.values import LOOPBACK, bracketed, split_host_port
from backendai_ctl.topology import backing, container_engine, tls_proxy

# What a client of HTTP/2, so of gRPC, says first, and the kind of frame that answers.
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
_SETTINGS = 4


@dataclass(frozen=True)
class Backing:
    """One server that components of this host use."""

    name: str
    mode: str  # local or external
    address: str  # for people
    ask: Callable[[float], str]  # timeout in seconds -> what it said; raises OSError and such
    local_unit: str = ""  # where backing.UNITS does not tell it

    @property
    def unit(self) -> str:
        """Its unit on this host; empty if it is elsewhere."""
        return (self.local_unit or backing.UNITS[self.name]) if self.mode == "local" else ""


def needed(ctx: Context) -> list[Backing]:
    """The servers that the components of this host use, as the site file names them."""
    found = [
        make(ctx)
        for name, make in _MAKERS.items()
        if any(ctx.here(component) for component in ctx.facts.using(name))
    ]
    return [*found, _proxied(ctx)] if found and tls_proxy.routes(ctx.site) else found


def external(ctx: Context) -> list[Backing]:
    """The servers elsewhere that components of this host use, or will: none may be installed yet."""
    bare = not ctx.facts.installed()
    made = [
        make(ctx)
        for name, make in _MAKERS.items()
        if bare or any(ctx.here(component) for component in ctx.facts.using(name))
    ]
    return [server for server in made if server.mode == "external"]


def client_tls(server: Server) -> ssl.SSLContext | None:
    """How to talk with a server of the site file; None: plain. OSError if a file is unreadable."""
    if server.tls == "off":
        return None
    if server.tls == "on":
        made = http.unchecked()
    else:
        made = ssl.create_default_context(cafile=str(server.ca) if server.ca else None)
        # As strict as the TLS proxy and PostgreSQL's programs: many a site's authority states no key usage.
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if isinstance(server, Proxied) and server.certificate and server.key:
        made.load_cert_chain(server.certificate, server.key)
    return made


def log_in(ctx: Context, host: str, port: int, timeout: float) -> resp.Connection:
    """A connection to the site's cache that may ask it everything. Raises FAILURES, Problem."""
    server = resp.Connection(host, port, timeout=timeout, tls=client_tls(ctx.site.cache))
    try:
        server.call("AUTH", credentials.cache_password(ctx))
    except BaseException:
        server.__exit__()
        raise
    return server


def handshake(host: str, port: int, tls: ssl.SSLContext | None, timeout: float = 3.0) -> None:
    """Connect, with TLS from the first byte, and leave. Raises OSError, ssl.SSLError."""
    with socket.create_connection((host, port), timeout=timeout) as plain:
        if tls:
            tls.wrap_socket(plain, server_hostname=host).close()


def master(ctx: Context, timeout: float) -> tuple[str, int]:
    """Where the cache is; with sentinels, as the first one that answers says.

    Raises ConnectionError with what each of them said.
    """
    site = ctx.site.cache
    if site.sentinel is None:
        return site.host, site.port
    failures = []
    for node in site.sentinel.nodes:
        try:
            host, port = split_host_port(node)
            with resp.Connection(host, port, timeout=timeout, tls=client_tls(site)) as sentinel:
                if site.sentinel.password_file:
                    sentinel.call("AUTH", credentials.read_password(site.sentinel.password_file))
                said = sentinel.call("SENTINEL", "get-master-addr-by-name", site.sentinel.service)
        except FAILURES as failure:
            failures.append(f"{node}: {reason(failure)}")
            continue
        if isinstance(said, list) and len(said) == 2:
            return str(said[0]), int(str(said[1]))
        failures.append(f"{node} knows no {site.sentinel.service}")
    raise ConnectionError("; ".join(failures))


def postgresql(host: str, port: int, timeout: float) -> str:
    """Ask PostgreSQL whether it takes logins, without one. Raises OSError."""
    pgwire.ask(host, port, timeout)
    return "answers"


def valkey(host: str, port: int, timeout: float, tls: ssl.SSLContext | None = None) -> str:
    """PING; that a password is wanted is an answer as well. Raises OSError."""
    with resp.Connection(host, port, timeout=timeout, tls=tls) as connection:
        try:
            connection.call("PING")
        except resp.Refused as refused:
            if not str(refused).startswith("NOAUTH"):
                raise ConnectionError(str(refused)) from refused
    return "answers"


def etcd(endpoint: str, timeout: float, tls: ssl.SSLContext | None = None) -> str:
    """Ask one member whether it has a leader and can read. Raises OSError, HTTPException."""
    scheme = "https" if tls else "http"
    status, body = http.ask(f"{scheme}://{endpoint}/health", timeout=timeout, tls=tls)
    if status != 200 or _json(body).get("health") != "true":
        raise ConnectionError(f"unhealthy: {body.strip()[:200] or status}")
    _, body = http.ask(f"{scheme}://{endpoint}/version", timeout=timeout, tls=tls)
    return f"etcd {_json(body).get('etcdserver', '?')}"


def etcd_by_proxy(port: int, timeout: float) -> str:
    """Ask for HTTP/2, which is what the TLS proxy promises to etcd. Raises OSError."""
    with socket.create_connection((LOOPBACK, port), timeout=timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(_HTTP2)
        answer = connection.recv(9)
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise ConnectionError("no way to etcd: see backendai-ctl logs tls-proxy")
    return "answers"


def docker(path: Path, timeout: float) -> str:
    """Docker's version, through its socket. Raises OSError, HTTPException."""
    said = container_engine.ask(path, "version", timeout)
    return f"Docker {said.get('Version', '?') if isinstance(said, dict) else '?'}"


def reason(failure: BaseException) -> str:
    """Why a server did not answer, in a few words."""
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {failure.verify_message}"
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__


FAILURES = (OSError, HTTPException, ValueError, resp.Refused)


def _postgresql(ctx: Context) -> Backing:
    db = ctx.site.database
    members = [f"{bracketed(host)}:{port}" for host, port in db.members]
    return Backing(
        "postgresql",
        db.mode,
        ",".join(members),
        lambda s: _all(members, lambda m: postgresql(*split_host_port(m), s), least=1),
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


def _sentinel(node: str, timeout: float, tls: ssl.SSLContext | None) -> str:
    return valkey(*split_host_port(node), timeout, tls)


def _etcd(ctx: Context) -> Backing:
    server = ctx.site.etcd
    members = server.endpoints
    return Backing(
        "etcd",
        server.mode,
        ",".join(members),
        lambda s: _all(members, lambda m: etcd(m, s, client_tls(server))),
    )


def _proxied(ctx: Context) -> Backing:
    routes = tls_proxy.routes(ctx.site)
    shown = ",".join(route.address for route in routes)
    return Backing("tls-proxy", "local", shown, lambda s: proxied(ctx, s))


def proxied(ctx: Context, timeout: float) -> str:
    """Go every way that this site has, as the services do. Raises OSError."""
    for route in tls_proxy.routes(ctx.site):
        if route.section == "etcd":
            etcd_by_proxy(route.port, timeout)
        else:
            valkey(LOOPBACK, route.port, timeout)
    return "answers"


def _docker(ctx: Context) -> Backing:
    used = container_engine.of(ctx.facts)
    ask = partial(docker, used.socket)
    return Backing(container_engine.NAME, "local", str(used.socket), ask, used.unit)


def _all(members: list[str], ask: Callable[[str], str], least: int = 0) -> str:
    """Ask each; fine when `least` of them, or else most, answer. Those that do not are named."""
    if len(members) == 1:
        return ask(members[0])
    said, missing = "", []
    for member in members:
        try:
            said = ask(member)
        except FAILURES as failure:
            missing.append(f"{member}: {reason(failure)}")
    if len(members) - len(missing) < (least or len(members) // 2 + 1):
        raise ConnectionError("; ".join(missing))
    return "; ".join([said, *missing])


def _json(text: str) -> dict[str, str]:
    data = json.loads(text)
    return data if isinstance(data, dict) else {}


_MAKERS: dict[str, Callable[[Context], Backing]] = {
    "postgresql": _postgresql,
    "valkey": _valkey,
    "etcd": _etcd,
    container_engine.NAME: _docker,
}
