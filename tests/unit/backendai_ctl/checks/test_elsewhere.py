"""Servers elsewhere are asked before anything is installed."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback_servers import answering

from backendai_ctl.checks import checks, elsewhere
from backendai_ctl.context import Context
from backendai_ctl.pki import tls
from backendai_ctl.site.registries import Registry
from backendai_ctl.site.schema import Site


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text("x")
    return str(path)


@pytest.fixture
def postgresql() -> Iterator[int]:
    for_tls = b"\0\0\0\x08\x04\xd2\x16\x2f"
    with answering({for_tls: b"N", b"": b"R\0\0\0\x08\0\0\0\x03"}) as port:
        yield port


def with_database(ctx: Context, port: int, password: str) -> Context:
    given = {"password_file": password}
    table = {"mode": "external", "port": port, "manager": given, "coordinator": given}
    return replace(ctx, site=Site.model_validate({"database": table}))


def test_a_single_host_has_none(ctx: Context) -> None:
    assert elsewhere.reach(ctx).level == "skip"


def test_one_that_answers_is_fine(ctx: Context, postgresql: int, password: str) -> None:
    found = elsewhere.reach(with_database(ctx, postgresql, password))
    assert found.level == "ok" and f"127.0.0.1:{postgresql}" in found.message


def test_one_that_does_not_is_told_before_installation(ctx: Context, password: str) -> None:
    for component in ctx.facts.components.values():
        (ctx.paths.units / component.unit).unlink(missing_ok=True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        given = with_database(ctx, port, password)
        found = {f.name: f for f in checks.run(given, preflight=True)}["servers"]
    assert found.level == "fail"
    assert f"postgresql at 127.0.0.1:{port}: connection refused" in found.message


def test_nfs_servers_are_asked_too(ctx: Context) -> None:
    volume = {"kind": "nfs", "server": "127.0.0.1", "export": "/x"}
    site = Site.model_validate({"storage": {"volumes": {"home": volume}}})
    found = elsewhere.reach(replace(ctx, site=site))
    assert "NFS server 127.0.0.1" in found.message


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """One with TLS, by an authority that is nobody's."""
    key, own = tls.new_key(), tls.new_key()
    authority = tls.authority(key, "harbor")
    (tmp_path / "ca.crt").write_bytes(authority)
    (tmp_path / "server.pem").write_bytes(own + tls.issue(authority, key, own, ["127.0.0.1"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # who does not trust it leaves
                context.wrap_socket(self.request, server_side=True).close()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"https://127.0.0.1:{server.server_address[1]}"
        yield Registry(url=url, project="science", ca=tmp_path / "ca.crt")
        server.shutdown()
        thread.join()


def test_registries_are_asked_by_their_authority(ctx: Context, registry: Registry) -> None:
    known = replace(ctx, site=Site(registries={"harbor": registry}))
    assert elsewhere.reach(known).level == "ok"
    unknown = registry.model_copy(update={"ca": None})
    found = elsewhere.reach(replace(ctx, site=Site(registries={"harbor": unknown})))
    assert found.level == "fail" and f"registry {registry.host}: its certificate" in found.message
