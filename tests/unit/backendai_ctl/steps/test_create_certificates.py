"""Certificates: made once, renewed in time, the operator's checked."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from cryptography import x509

from backendai_ctl.checks import certificates
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.pki import issuing, tls
from backendai_ctl.pki.issuing import issue_for, names
from backendai_ctl.site.registries import Registry
from backendai_ctl.site.schema import Network, Node, Site, SiteTable, Tls
from backendai_ctl.steps.create_certificates import CreateCertificates

STEP = CreateCertificates()


def content(ctx: Context) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in ctx.paths.tls.iterdir()}


def server(ctx: Context) -> x509.Certificate:
    return x509.load_pem_x509_certificate((ctx.paths.tls / "server.crt").read_bytes())


@pytest.fixture
def made(ctx: Context) -> Context:
    STEP.apply(ctx)
    return ctx


def test_an_authority_and_a_certificate_it_issued(made: Context) -> None:
    folder = made.paths.tls
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {
        "ca.crt": 0o644,
        "ca.key": 0o600,
        "server.crt": 0o644,
        "server.key": 0o600,
        "trust.crt": 0o644,
    }
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    assert tls.issued_by(server(made), authority)
    assert tls.names_of(server(made)) == set(names(made)) >= {"localhost", "127.0.0.1", "::1"}
    assert content(made)["trust.crt"] == content(made)["ca.crt"]


@pytest.mark.parametrize("mode", ["site-ca", "off"])
def test_a_second_run_changes_nothing(ctx: Context, mode: str) -> None:
    site = replace(ctx, site=Site(tls=Tls.model_validate({"mode": mode})))
    STEP.apply(site)
    before = content(site)
    assert STEP.check(site) == []
    STEP.apply(site)
    assert content(site) == before


def test_new_names_renew_the_server_alone(made: Context) -> None:
    before = content(made)
    site = Site(
        site=SiteTable(address="AI.example.org"), network=Network(listen="10.0.0.5", allow=["::/0"])
    )
    moved = replace(made, site=site)
    (change,) = STEP.check(moved)
    assert "ai.example.org" in change.how
    STEP.apply(moved)
    assert {"ai.example.org", "10.0.0.5"} <= tls.names_of(server(moved))
    changed = {name for name, data in content(moved).items() if data != before[name]}
    assert changed == {"server.crt"}


def test_it_is_renewed_before_it_ends(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "SERVER_DAYS", 20)
    # Too short from the start: one round of the work, as apply would not end.
    issuing.work(ctx)[0][1]()
    issuing.work(ctx)[0][1]()
    assert "ends on" in STEP.check(ctx)[0].how
    monkeypatch.undo()
    STEP.apply(ctx)
    assert tls.days_left(server(ctx)) > 800


@pytest.mark.parametrize("name", ["ca.crt", "server.crt", "server.key", "trust.crt"])
def test_a_run_that_was_killed_is_finished(made: Context, name: str) -> None:
    (made.paths.tls / name).unlink()
    assert STEP.check(made)
    STEP.apply(made)
    assert STEP.check(made) == []
    assert len(content(made)) == 5


def test_the_authority_is_never_replaced_silently(made: Context) -> None:
    before = content(made)
    (made.paths.tls / "ca.key").write_bytes(tls.new_key())
    assert STEP.check(made) == []  # not needed before the next renewal
    (made.paths.tls / "server.crt").unlink()
    with pytest.raises(Problem, match=r"the key of .*ca\.crt is not there") as caught:
        STEP.apply(made)
    assert "all browsers" in caught.value.hint
    assert content(made)["ca.crt"] == before["ca.crt"]


def own(ctx: Context, tmp_path: Path, *hosts: str) -> Context:
    ca_key, key = tls.new_key(), tls.new_key()
    ca = tls.authority(ca_key, "Example CA")
    (tmp_path / "own.crt").write_bytes(tls.issue(ca, ca_key, key, hosts) + ca)
    (tmp_path / "own.key").write_bytes(key)
    site = Site(
        site=SiteTable(address="ai.example.org"),
        tls=Tls(mode="own", certificate=tmp_path / "own.crt", key=tmp_path / "own.key"),
    )
    return replace(ctx, site=site)


def test_own_certificates_are_copied(ctx: Context, tmp_path: Path) -> None:
    mine = own(ctx, tmp_path, "ai.example.org")
    STEP.apply(mine)
    found = content(mine)
    assert set(found) == {"server.crt", "server.key", "trust.crt"}
    assert found["server.crt"] == found["trust.crt"] == (tmp_path / "own.crt").read_bytes()
    assert (mine.paths.tls / "server.key").stat().st_mode & 0o777 == 0o600
    assert STEP.check(mine) == []
    renewed = own(ctx, tmp_path, "ai.example.org")
    assert len(STEP.check(renewed)) == 2
    STEP.apply(renewed)
    assert content(renewed)["server.crt"] == (tmp_path / "own.crt").read_bytes()


def test_own_certificates_that_do_not_serve_are_refused(made: Context, tmp_path: Path) -> None:
    before = content(made)
    with pytest.raises(Problem, match=r"own\.crt: it is for other, not for ai\.example\.org"):
        STEP.check(own(made, tmp_path, "other"))
    assert content(made) == before


def test_back_to_the_sites_authority(made: Context, tmp_path: Path) -> None:
    before = content(made)
    STEP.apply(own(made, tmp_path, "ai.example.org"))
    STEP.apply(made)
    assert content(made)["ca.crt"] == before["ca.crt"]
    assert content(made)["trust.crt"] == before["ca.crt"]
    assert STEP.check(made) == []


def with_nodes(ctx: Context, address: str = "10.77.0.2") -> Context:
    nodes = {
        "mgmt": Node(address="10.77.0.1", roles=["management"]),
        "store": Node(address=address, roles=["storage"]),
    }
    return replace(ctx, site=Site(nodes=nodes), node="mgmt")


def test_what_a_node_is_issued_is_kept_here_and_closed(made: Context) -> None:
    site, folder = with_nodes(made), made.paths.tls / "nodes"
    issue_for(site, "store", dry_run=True)
    assert not folder.exists()
    certificate, key = issue_for(site, "store")
    assert {"10.77.0.2", "store"} <= tls.names_of(x509.load_pem_x509_certificate(certificate))
    assert folder.stat().st_mode & 0o7777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"store.crt": 0o644, "store.key": 0o600}
    assert issue_for(site, "store") == (certificate, key)


def test_what_a_node_is_issued_is_renewed_as_the_servers_own(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "SERVER_DAYS", 20)
    short = issue_for(with_nodes(made), "store")
    monkeypatch.undo()
    longer = issue_for(with_nodes(made), "store")
    moved = issue_for(with_nodes(made, "10.77.0.3"), "store")
    assert short[0] != longer[0] != moved[0]
    assert short[1] == longer[1] == moved[1], "its key stays"
    for name in ("ca.crt", "ca.key"):
        (made.paths.tls / name).unlink()
    STEP.apply(made)
    assert issue_for(with_nodes(made, "10.77.0.3"), "store")[0] != moved[0], "another authority"


def test_undo_leaves_nothing(made: Context) -> None:
    issue_for(with_nodes(made), "store")
    STEP.undo(made)
    STEP.undo(made)
    assert content(made) == {}


KAIST = "한국과학기술원 인공지능 연구센터"


@pytest.mark.parametrize(
    ("name", "address", "shown"),
    [
        (KAIST, "ai.kaist.ac.kr", "한국과학기술원 인공지능 연 site CA (ai.kaist.ac.kr)"),
        ("센" * 100, "10.0.0.1", "센" * 15 + " site CA (10.0.0.1)"),
        ("Backend.AI", "localhost", "Backend.AI site CA (localhost)"),
        ("🖥" * 30, f"{'a' * 60}.example.org", "site CA (" + "a" * 54),
    ],
)
def test_names_of_any_length_and_script_go_into_certificates(
    ctx: Context, name: str, address: str, shown: str
) -> None:
    """X.509 limits them to 64, which cryptography counts in bytes: a letter of Hangul is three."""
    site = replace(ctx, site=Site(site=SiteTable(name=name, address=address)))
    STEP.apply(site)
    assert STEP.check(site) == []
    for file, expected in (("ca.crt", shown), ("server.crt", address[:64])):
        made = x509.load_pem_x509_certificate((site.paths.tls / file).read_bytes())
        (common,) = made.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert common.value == expected and len(expected.encode()) <= 64


@pytest.mark.parametrize("hostname", ["두번째", "two words", "", "x" * 64])
def test_a_host_name_that_no_certificate_takes_is_left_out(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, hostname: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: hostname)
    STEP.apply(ctx)
    assert tls.names_of(server(ctx)) == {"localhost", "127.0.0.1", "::1"}


class Ahead(datetime):
    """A clock that was 40 days ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=40)


@pytest.fixture
def early(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A site whose certificates were made by such a clock."""
    (ctx.paths.share / "release.json").write_text("{}")
    with monkeypatch.context() as then:
        then.setattr(tls, "datetime", Ahead)
        STEP.apply(ctx)
        assert STEP.check(ctx) == []
    return ctx


def test_certificates_of_a_clock_that_was_ahead_are_made_anew(early: Context) -> None:
    before = content(early)
    assert "the clock was ahead when it was made" in STEP.check(early)[0].how
    assert "begins on" in certificates.validity(early).message
    assert certificates.validity(early).hint == "run: backendai-ctl reconfigure"
    STEP.apply(early)
    assert STEP.check(early) == []
    assert certificates.validity(early).level == "ok"
    after = content(early)
    for name in ("ca.crt", "server.crt"):
        assert not tls.begins_later(x509.load_pem_x509_certificate(after[name]))
    assert after["trust.crt"] == after["ca.crt"] != before["ca.crt"]
    assert (after["ca.key"], after["server.key"]) == (before["ca.key"], before["server.key"])


def test_nothing_is_made_anew_by_a_clock_that_is_behind(early: Context) -> None:
    """Else a board without a battery would make an authority that ended long ago."""
    built = datetime.now(UTC).timestamp() + 10 * 86400
    os.utime(early.paths.share / "release.json", (built, built))
    before = content(early)
    with pytest.raises(Problem, match="is before this release") as caught:
        STEP.apply(early)
    assert caught.value.hint.startswith("set the clock")
    assert certificates.validity(early).hint.startswith("set the clock")
    assert content(early) == before


def test_the_manager_alone_trusts_the_authorities_of_registries(
    made: Context, tmp_path: Path
) -> None:
    (tmp_path / "harbor.crt").write_text("theirs\n")
    one = Registry(url="https://harbor.example", project="science", ca=tmp_path / "harbor.crt")
    named = replace(made, site=Site(registries={"harbor": one}))
    STEP.apply(named)
    found = content(named)
    assert found["registries.crt"] == found["trust.crt"].strip() + b"\ntheirs\n"
    assert STEP.check(named) == []
    (tmp_path / "harbor.crt").write_text("renewed\n")
    assert [change.what for change in STEP.check(named)] == [f"{made.paths.tls}/registries.crt"]
    STEP.apply(made)
    assert "registries.crt" not in content(made)
    STEP.apply(named)
    STEP.undo(named)
    assert not content(named)
