from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backendai_serve import health
from backendai_serve.health import Fault


@contextmanager
def answering(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that gives every connection this answer; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        stream = (
                            context.wrap_socket(connection, server_side=True)
                            if context
                            else connection
                        )
                        stream.recv(4096)
                        stream.sendall(answer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    plain = serialization.NoEncryption()
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(pem)
    return found


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_200_is_well() -> None:
    with answering(GOOD) as port:
        assert health.fault(f"http://127.0.0.1:{port}/health") is None


def test_any_other_status_is_told() -> None:
    with answering(b"HTTP/1.1 503 Not now\r\n\r\n") as port:
        url = f"http://127.0.0.1:{port}/health"
        assert health.fault(url) == Fault(f"{url}: HTTP 503")


def test_a_server_that_turned_to_tls_is_well_too(context: ssl.SSLContext) -> None:
    with answering(GOOD, context) as port:
        assert health.fault(f"http://127.0.0.1:{port}/health") is None
        assert health.fault(f"https://127.0.0.1:{port}/health") is None


@pytest.mark.parametrize("answer", [b"", b"hello\r\n", b"HTTP/1.1\r\n"])
def test_what_is_no_http_is_not_well(answer: bytes) -> None:
    with answering(answer) as port:
        found = health.fault(f"http://127.0.0.1:{port}/")
        assert found and found.text.startswith("http://127.0.0.1:") and not found.own


def test_nobody_listening_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        for scheme in ("http", "postgresql", "redis"):
            url = f"{scheme}://127.0.0.1:{port}/"
            assert health.fault(url) == Fault(f"{url}: Connection refused")
