"""Certificates that OpenSSL and browsers accept, and faults of the operator's."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from backendai_ctl.pki import tls


class Site:
    """An authority and a server's certificate."""

    def __init__(self, names: list[str]) -> None:
        self.ca_key, self.key = tls.new_key(), tls.new_key()
        self.ca = tls.authority(self.ca_key, "Lab site CA")
        self.server = tls.issue(self.ca, self.ca_key, self.key, names)

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.server)


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(["ai.example.org", "localhost", "127.0.0.1", "::1"])


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "ai.example.org"])
def test_a_client_that_trusts_the_authority_connects(site: Site, tmp_path: Path, name: str) -> None:
    (tmp_path / "server.crt").write_bytes(site.server)
    (tmp_path / "server.key").write_bytes(site.key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    client = ssl.create_default_context(cadata=site.ca.decode())  # strict, since Python 3.13
    near, far = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(far, server_side=True) as wrapped:
            wrapped.sendall(b"hello")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(near, server_hostname=name) as wrapped:
        assert wrapped.recv(5) == b"hello"
    thread.join(10)


def test_lifetimes(site: Site) -> None:
    authority = x509.load_pem_x509_certificate(site.ca)
    assert 3649 < tls.days_left(authority) <= 3652
    lifetime = site.certificate.not_valid_after_utc - site.certificate.not_valid_before_utc
    assert lifetime <= timedelta(days=825)
    assert site.certificate.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["ai.example.org"], "AI.example.org", True),
        (["*.example.org"], "ai.example.org", True),
        (["*.example.org"], "a.b.example.org", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["fd00::1"], "fd00:0::1", True),
        (["ai.example.org"], "example.org", False),
    ],
)
def test_which_hosts_are_covered(names: list[str], host: str, covered: bool) -> None:
    assert tls.covers(Site(names).certificate, host) is covered


def test_a_good_chain_has_no_faults(site: Site) -> None:
    assert tls.faults(site.server, site.key, "ai.example.org") == []
    assert tls.faults(site.server + site.ca, site.key, "ai.example.org") == []


def test_faults_are_told_together(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Site(["other"])
    found = tls.faults(site.server + other.ca, other.key, "elsewhere")
    assert found[0] == "the key does not belong to the first certificate"
    assert found[1].endswith("not for elsewhere")
    assert found[2] == "certificate 1 was not issued by certificate 2"
    monkeypatch.setattr(tls, "SERVER_DAYS", 0)
    old = Site(["localhost"])
    (ended,) = tls.faults(old.server, old.key, "localhost")
    assert ended.startswith("certificate 1 ended on ")


def test_what_is_no_certificate_or_key(site: Site) -> None:
    assert tls.faults(b"x", site.key, "a") == ["the certificate file holds no PEM certificate"]
    (fault,) = tls.faults(site.server, b"x", "a")
    assert fault.startswith("the key file holds no usable private key")


def test_a_key_with_a_passphrase_is_refused(site: Site) -> None:
    from cryptography.hazmat.primitives import serialization

    locked = tls.load_key(site.key).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    assert "passphrase" in tls.faults(site.server, locked, "localhost")[0]
