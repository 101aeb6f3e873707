"""start-tls-proxy: what the TLS proxy is given, and certificates that are refused by their key."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fake_systemd
import pytest
from loopback_servers import answering

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.pki import tls
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.site.schema import Cache, Etcd, Sentinel, Site
from backendai_ctl.steps import start_tls_proxy
from backendai_ctl.steps.start_tls_proxy import StartTlsProxy

STEP = StartTlsProxy()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where unit files go; no systemd is running."""
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    return tmp_path / "system"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "ca.crt"
    path.write_bytes(tls.authority(_key(tmp_path / "ca.key"), "test"))
    return path


def _key(path: Path) -> bytes:
    path.write_bytes(tls.new_key())
    return path.read_bytes()


@contextmanager
def server(ca: Path, name: str) -> Iterator[int]:
    """TLS on loopback, with a certificate of this authority; gives the port."""
    files = ca.parent / "server.crt", ca.parent / "server.key"
    files[0].write_bytes(
        tls.issue(ca.read_bytes(), ca.with_name("ca.key").read_bytes(), _key(files[1]), [name])
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain:
                    try:
                        context.wrap_socket(plain, server_side=True).close()
                    except OSError:
                        continue

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def etcd(facts: Facts, ca: Path, *ports: int) -> Context:
    endpoints = [f"localhost:{port}" for port in ports]
    return Context(
        facts, Site(etcd=Etcd(mode="external", tls="verify", ca=ca, endpoints=endpoints))
    )


def test_without_tls_and_sentinels_there_is_none(ctx: Context, folder: Path) -> None:
    assert STEP.check(ctx) == []
    assert not folder.exists()


def test_the_tls_proxy_is_given_all_it_needs_and_no_more(
    facts: Facts, ca: Path, free_port: int, folder: Path
) -> None:
    ctx = etcd(facts, ca, free_port)
    assert len(STEP.check(ctx)) == 2
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    (row,) = json.loads(start_tls_proxy.config(ctx).read_text())
    given = "/run/credentials/backendai-tls-proxy.service/etcd-ca.crt"
    assert row == {
        "name": "etcd",
        "port": 12379,
        "nodes": [f"localhost:{free_port}"],
        "service": "",
        "password": "",
        "tls": {"verify": True, "ca": given, "certificate": "", "key": "", "alpn": ["h2"]},
    }
    text = (folder / "backendai-tls-proxy.service.d/site.conf").read_text()
    assert text.splitlines()[1:] == ["[Service]", f"LoadCredential=etcd-ca.crt:{ca}"]


def test_a_new_authority_restarts_it(facts: Facts, ca: Path, free_port: int) -> None:
    ctx = etcd(facts, ca, free_port)
    STEP.apply(ctx)
    ca.write_bytes(tls.authority(tls.new_key(), "another"))
    assert [change.how for change in STEP.check(ctx)] == [
        "restart it: its configuration or version changed"
    ]


def test_it_goes_when_the_site_file_wants_none(
    facts: Facts, site: Site, ca: Path, free_port: int, folder: Path
) -> None:
    ctx = etcd(facts, ca, free_port)
    STEP.apply(ctx)
    plain = Context(facts, site)
    assert {change.how for change in STEP.check(plain)} == {"remove it"}
    STEP.apply(plain)
    assert STEP.check(plain) == []
    assert not (folder / "backendai-tls-proxy.service.d").exists()


@pytest.fixture
def earlier(facts: Facts, folder: Path) -> list[Path]:
    """What 26.9.6-1 left on a host where its unit was needed."""
    paths = facts.paths
    drop_in = folder / "backendai-tunnel.service.d/site.conf"
    left = [drop_in, paths.config / "tunnel.json", paths.ctl / "ready/tunnel"]
    for path in left:
        files.write(path, "of before\n")
    return left


def test_the_unit_of_an_earlier_release_leaves_its_ports_first(
    facts: Facts,
    ca: Path,
    free_port: int,
    folder: Path,
    earlier: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = fake_systemd.install(monkeypatch, folder)
    host.active[start_tls_proxy.EARLIER] = "active"
    ctx = etcd(facts, ca, free_port)
    assert {str(path) for path in earlier} < {change.what for change in STEP.check(ctx)}
    STEP.apply(ctx)
    stops, starts = "stop backendai-tunnel.service", "restart backendai-tls-proxy.service"
    assert host.calls.index(stops) < host.calls.index(starts)
    assert not any(path.exists() for path in earlier) and not earlier[0].parent.exists()
    assert STEP.check(ctx) == []
    STEP.apply(ctx)
    assert host.calls.count(stops) == 1


def test_files_of_an_earlier_release_are_enough_to_be_pending(
    facts: Facts, ca: Path, free_port: int, earlier: list[Path]
) -> None:
    ctx = etcd(facts, ca, free_port)
    STEP.apply(ctx)
    assert not any(path.exists() for path in earlier)
    for path in earlier:
        files.write(path, "of before\n")
        assert [change.what for change in STEP.check(ctx)] == [str(path)]
        path.unlink()


def test_what_an_earlier_release_left_goes_where_none_is_wanted(
    ctx: Context, folder: Path, earlier: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = fake_systemd.install(monkeypatch, folder)
    host.active[start_tls_proxy.EARLIER] = "failed"
    assert [change.what for change in STEP.check(ctx)] == [str(path) for path in earlier]
    STEP.apply(ctx)
    assert STEP.check(ctx) == [] and not any(path.exists() for path in earlier)
    assert not any(call.startswith("stop") for call in host.calls)


def test_an_earlier_unit_that_does_not_stop_keeps_what_it_has(
    facts: Facts,
    ca: Path,
    free_port: int,
    folder: Path,
    earlier: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the next run would not know that its ports are not free."""

    def refuse(*words: str, **_: object) -> str:
        raise Problem(f"systemctl {' '.join(words)} failed")

    host = fake_systemd.install(monkeypatch, folder)
    host.active[start_tls_proxy.EARLIER] = "active"
    monkeypatch.setattr(systemd, "systemctl", refuse)
    with pytest.raises(Problem, match=r"stop backendai-tunnel\.service"):
        STEP.apply(etcd(facts, ca, free_port))
    assert all(path.exists() for path in earlier)


def test_sentinels_may_name_any_server(facts: Facts, tmp_path: Path, folder: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    sentinel = Sentinel(service="mine", nodes=["127.0.0.1:1"], password_file=password)
    ctx = Context(facts, Site(cache=Cache(mode="external", sentinel=sentinel)))
    STEP.apply(ctx)
    (row,) = json.loads(start_tls_proxy.config(ctx).read_text())
    assert (row["service"], row["port"], row["tls"]) == ("mine", 16379, None)
    assert row["password"].endswith("/cache-password")
    assert "secret" not in start_tls_proxy.config(ctx).read_text()
    assert "IPAddressAllow=any" in (folder / "backendai-tls-proxy.service.d/site.conf").read_text()


def test_a_good_certificate_passes(facts: Facts, ca: Path) -> None:
    with server(ca, "localhost") as port:
        STEP.check(etcd(facts, ca, port))


def test_a_certificate_for_another_name_is_refused(facts: Facts, ca: Path) -> None:
    with server(ca, "elsewhere.example") as port, pytest.raises(Problem) as caught:
        STEP.check(etcd(facts, ca, port))
    assert caught.value.message.startswith(
        f"etcd.endpoints: the certificate of localhost:{port} is refused: Hostname mismatch"
    )


def test_a_certificate_of_another_authority_is_refused(
    facts: Facts, ca: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(tls.authority(tls.new_key(), "other"))
    with server(ca, "localhost") as port, pytest.raises(Problem, match=r"^etcd\.ca: "):
        STEP.check(etcd(facts, other, port))


def test_a_server_that_is_down_is_not_to_blame(facts: Facts, ca: Path, free_port: int) -> None:
    STEP.check(etcd(facts, ca, free_port))


def test_a_server_without_tls_is_told(facts: Facts, ca: Path) -> None:
    with (
        answering({b"": b"-ERR what is this?\r\n"}) as port,
        pytest.raises(Problem, match=r"^etcd\.tls: localhost"),
    ):
        STEP.check(etcd(facts, ca, port))
