"""Promises of backendai_ctl.checks.certificates."""

from __future__ import annotations

import pytest

from backendai_ctl.checks import certificates
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.pki import tls
from backendai_ctl.site.schema import Site


@pytest.fixture
def made(ctx: Context) -> Context:
    """A site with its authority and a certificate for localhost."""
    ca_key, key = tls.new_key(), tls.new_key()
    ca = tls.authority(ca_key, "Site")
    ctx.paths.tls.mkdir()
    (ctx.paths.tls / "ca.crt").write_bytes(ca)
    (ctx.paths.tls / "server.crt").write_bytes(tls.issue(ca, ca_key, key, ["localhost"]))
    (ctx.paths.tls / "server.key").write_bytes(key)
    return ctx


CHECKS = (certificates.validity, certificates.names, certificates.keys)


def test_good_ones_are_good(made: Context) -> None:
    assert [check(made).level for check in CHECKS] == ["ok"] * 3


def test_without_tls_or_before_they_are_made_nothing_is_said(facts: Facts) -> None:
    assert {check(Context(facts, Site())).level for check in CHECKS} == {"skip"}
    off = Context(facts, Site.model_validate({"tls": {"mode": "off"}}))
    assert {check(off).level for check in CHECKS} == {"skip"}


def test_one_for_another_name_is_a_fault(made: Context) -> None:
    elsewhere = Context(made.facts, Site.model_validate({"site": {"address": "ai.example"}}))
    found = certificates.names(elsewhere)
    assert found.level == "fail"
    assert "not for site.address ai.example" in found.message


def test_a_key_of_another_certificate_is_a_fault(made: Context) -> None:
    (made.paths.tls / "server.key").write_bytes(tls.new_key())
    assert "does not belong to" in certificates.keys(made).message


@pytest.mark.parametrize(("days", "level"), [(-1, "fail"), (5, "warn"), (400, "ok")])
def test_one_that_ends_is_told_in_time(
    made: Context, monkeypatch: pytest.MonkeyPatch, days: int, level: str
) -> None:
    monkeypatch.setattr(tls, "days_left", lambda _certificate: days)
    assert certificates.validity(made).level == level


def test_a_file_that_is_no_certificate_is_a_fault(made: Context) -> None:
    (made.paths.tls / "server.crt").write_text("nothing")
    assert [check(made).level for check in CHECKS] == ["fail"] * 3
