"""Promise: what a client sends to a port of loopback arrives at the server, by checked TLS."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.pki import tls
from backendai_serve import tls_proxy

SOURCES = Path(__file__).resolve().parents[3] / "src"
TIMEOUT = 10  # seconds
Handler = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Authority:
    """A test's own, and what it issues."""

    folder: Path
    certificate: bytes
    key: bytes

    @property
    def file(self) -> Path:
        path = self.folder / "ca.crt"
        path.write_bytes(self.certificate)
        return path

    def issue(self, *names: str) -> tuple[Path, Path]:
        key = tls.new_key()
        made = self.folder / f"{names[0]}.crt", self.folder / f"{names[0]}.key"
        made[0].write_bytes(tls.issue(self.certificate, self.key, key, list(names)))
        made[1].write_bytes(key)
        return made


def authority(folder: Path, name: str) -> Authority:
    (folder / name).mkdir()
    key = tls.new_key()
    return Authority(folder / name, tls.authority(key, name), key)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return authority(tmp_path, "ours")


@pytest.fixture
def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def saying(word: bytes) -> Handler:
    def say(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(word)

    return say


def staying_until(event: threading.Event) -> Handler:
    def stay(_connection: socket.socket) -> None:
        event.wait(TIMEOUT)

    return stay


@contextmanager
def listening(handle: Handler, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def one(plain: socket.socket) -> None:
            try:
                with context.wrap_socket(plain, server_side=True) if context else plain as found:
                    handle(found)
            except OSError:
                plain.close()

        def accept() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(plain,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def server_context(files: tuple[Path, Path], alpn: list[str] | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*files)
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


def row(port: int, *nodes: str, **settings: Any) -> dict[str, Any]:
    found = {"name": "cache", "port": port, "nodes": list(nodes), "service": "", "password": ""}
    return {**found, "tls": None, **settings}


def checked(ca: Path, alpn: list[str] | None = None) -> dict[str, Any]:
    return {"verify": True, "ca": str(ca), "certificate": "", "key": "", "alpn": alpn or []}


@contextmanager
def running(folder: Path, *rows: dict[str, Any]) -> Iterator[Path]:
    """The program with these routes, ready; gives the file with what it says."""
    (folder / "tls-proxy.json").write_text(json.dumps(rows))
    said, notices = folder / "said", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with notices, said.open("w") as out:
        notices.bind(str(folder / "notify"))
        notices.settimeout(TIMEOUT)
        process = subprocess.Popen(
            [sys.executable, "-m", "backendai_serve.tls_proxy", folder / "tls-proxy.json"],
            stderr=out,
            env={"PYTHONPATH": str(SOURCES), "NOTIFY_SOCKET": str(folder / "notify")},
        )
        try:
            assert notices.recv(100) == b"READY=1"
            yield said
        finally:
            process.terminate()
            assert process.wait(TIMEOUT) == 0


def send(port: int, data: bytes) -> bytes:
    """What comes back, as much as was sent; less if the connection ends."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        client.settimeout(TIMEOUT)
        threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
        found = b""
        try:
            while len(found) < len(data) and (more := client.recv(65536)):
                found += more
        except ConnectionError:
            pass
        return found


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_megabytes_arrive_both_ways(
    tmp_path: Path, ca: Authority, free_port: int, name: str
) -> None:
    data = bytes(range(256)) * 40_000
    with ExitStack() as stack:
        port = stack.enter_context(listening(echo, server_context(ca.issue(name))))
        route = row(free_port, f"{name}:{port}", tls=checked(ca.file))
        stack.enter_context(running(tmp_path, route))
        assert send(free_port, data) == data


@pytest.mark.parametrize(
    ("names", "trusted", "reason"),
    [
        (["elsewhere.example"], True, "Hostname mismatch"),
        (["localhost"], False, "certificate verify failed|unable to get local issuer"),
    ],
)
def test_a_bad_certificate_is_refused_and_the_journal_says_why(
    tmp_path: Path,
    ca: Authority,
    free_port: int,
    names: list[str],
    trusted: bool,
    reason: str,
) -> None:
    other = ca if trusted else authority(tmp_path, "theirs")
    with ExitStack() as stack:
        port = stack.enter_context(listening(echo, server_context(ca.issue(*names))))
        route = row(free_port, f"localhost:{port}", tls=checked(other.file))
        said = stack.enter_context(running(tmp_path, route))
        assert send(free_port, b"x") == b""
        text = said.read_text()
    assert any(word in text for word in reason.split("|")), text
    assert text.startswith(f"cache: localhost:{port}: its certificate is refused")


def test_unchecked_means_encrypted_all_the_same(
    tmp_path: Path, ca: Authority, free_port: int
) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(listening(echo, server_context(ca.issue("elsewhere"))))
        route = row(free_port, f"localhost:{port}", tls={**checked(ca.file), "verify": False})
        stack.enter_context(running(tmp_path, route))
        assert send(free_port, b"hello") == b"hello"


def test_http_2_is_offered_where_it_is_wanted(
    tmp_path: Path, ca: Authority, free_port: int
) -> None:
    def chosen(connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        connection.recv(100)
        connection.sendall((connection.selected_alpn_protocol() or "none").encode())

    with ExitStack() as stack:
        context = server_context(ca.issue("localhost"), ["h2", "http/1.1"])
        port = stack.enter_context(listening(chosen, context))
        route = row(free_port, f"localhost:{port}", tls=checked(ca.file, ["h2"]))
        stack.enter_context(running(tmp_path, route))
        assert send(free_port, b"12") == b"h2"


def test_a_client_certificate_is_shown(tmp_path: Path, ca: Authority, free_port: int) -> None:
    certificate, key = (str(tmp_path / name) for name in ("client.crt", "client.key"))
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = server_context(ca.issue("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    with ExitStack() as stack:
        port = stack.enter_context(listening(echo, context))
        settings = {**checked(ca.file), "certificate": certificate, "key": key}
        route = row(free_port, f"localhost:{port}", tls=settings)
        stack.enter_context(running(tmp_path, route))
        assert send(free_port, b"hello") == b"hello"


def test_the_next_member_serves_when_one_is_gone(tmp_path: Path, free_port: int) -> None:
    with ExitStack() as stack:
        with listening(echo) as gone:
            pass
        port = stack.enter_context(listening(echo))
        nodes = [f"127.0.0.1:{gone}", f"127.0.0.1:{port}"]
        said = stack.enter_context(running(tmp_path, row(free_port, *nodes)))
        assert [send(free_port, b"hello") for _ in range(3)] == [b"hello"] * 3
        lines = said.read_text().splitlines()
    assert lines[0] == f"cache: {nodes[0]}: connection refused; connected by {nodes[1]}"
    assert lines[1:] == [f"cache: connected by {nodes[1]}"]


def test_sentinels_are_asked_for_the_master_each_time(tmp_path: Path, free_port: int) -> None:
    masters: list[int] = []

    def sentinel(connection: socket.socket) -> None:
        assert b"secret" in connection.recv(4096)
        connection.sendall(b"+OK\r\n")
        assert b"get-master-addr-by-name" in connection.recv(4096)
        port = str(masters[-1])
        connection.sendall(f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode())

    (tmp_path / "password").write_text("secret\n")
    with ExitStack() as stack:
        one, two = (stack.enter_context(listening(saying(word))) for word in (b"one", b"two"))
        node = stack.enter_context(listening(sentinel))
        settings = {"service": "mine", "password": str(tmp_path / "password")}
        stack.enter_context(running(tmp_path, row(free_port, f"127.0.0.1:{node}", **settings)))
        masters.append(one)
        assert send(free_port, b"who") == b"one"
        masters.append(two)
        assert send(free_port, b"who") == b"two"


def test_a_connection_to_a_master_of_the_past_is_ended(tmp_path: Path, free_port: int) -> None:
    """It is still there and answers: only the sentinels know that it is not the master any more."""
    masters: list[int] = []

    def sentinel(connection: socket.socket) -> None:
        while connection.recv(4096):
            port = str(masters[-1])
            connection.sendall(f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode())

    with ExitStack() as stack:
        one, two = (stack.enter_context(listening(echo)) for _ in range(2))
        node = stack.enter_context(listening(sentinel))
        masters.append(one)
        route = row(free_port, f"127.0.0.1:{node}", service="mine")
        said = stack.enter_context(running(tmp_path, route))
        client = stack.enter_context(socket.create_connection(("127.0.0.1", free_port), TIMEOUT))
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        client.settimeout(2.5)
        with pytest.raises(TimeoutError):
            client.recv(1)  # while it is the master, nothing happens to the connection
        masters.append(two)
        began = time.monotonic()
        assert ended(client)
        assert time.monotonic() - began < TIMEOUT
        assert send(free_port, b"anew") == b"anew"
        assert f"cache: 127.0.0.1:{two} is the master now; 1 connections ended" in said.read_text()


def ended(client: socket.socket) -> bool:
    client.settimeout(TIMEOUT)
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_when_the_server_leaves_the_client_is_told(tmp_path: Path, free_port: int) -> None:
    leave = threading.Event()
    with ExitStack() as stack:
        port = stack.enter_context(listening(staying_until(leave)))
        stack.enter_context(running(tmp_path, row(free_port, f"127.0.0.1:{port}")))
        client = stack.enter_context(socket.create_connection(("127.0.0.1", free_port), TIMEOUT))
        began = time.monotonic()
        leave.set()
        assert client.recv(1) == b""
        assert time.monotonic() - began < TIMEOUT


def test_hosts_with_brackets_are_split() -> None:
    assert tls_proxy.split("[2001:db8::1]:2379") == ("2001:db8::1", 2379)
