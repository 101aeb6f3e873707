"""Promises of backendai_ctl.platform.http, against servers on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from loopback_servers import serving

from backendai_ctl.pki import tls
from backendai_ctl.platform import http


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    with serving({"/health": (503, "no")}) as port:
        assert http.ask(f"http://127.0.0.1:{port}/health") == (503, "no")


def test_a_server_that_never_answers_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        http.ask(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.1)


def test_our_own_server_is_asked_whatever_its_certificate_says(tmp_path: Path) -> None:
    ca_key, key = tls.new_key(), tls.new_key()
    chain = tls.issue(tls.authority(ca_key, "Site"), ca_key, key, ["elsewhere.example"])
    (tmp_path / "server.pem").write_bytes(key + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_once, args=(server, context), daemon=True).start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/health"
        assert http.ask(url, timeout=10, tls=http.unchecked()) == (200, "well")


def _once(server: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = server.accept()
    with context.wrap_socket(plain, server_side=True) as connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell")


def test_a_socket_of_the_file_system_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def once() -> None:
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        threading.Thread(target=once, daemon=True).start()
        assert http.ask("http://localhost/version", timeout=10, local=path) == (200, "{}")
