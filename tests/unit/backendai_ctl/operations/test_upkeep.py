"""Upkeep: certificates are renewed before they end though nobody asks, and used from then on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography import x509

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.operations import hooks, reconfigure, upkeep
from backendai_ctl.pki import tls
from backendai_ctl.platform import systemd
from backendai_ctl.steps import create_certificates
from backendai_ctl.steps.start_services import StartServices


@dataclass
class Waits:
    """Another step, with something to do that upkeep leaves alone."""

    todo: list[Change] = field(default_factory=list)
    name: str = "render-configs"
    title: str = "Write settings"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ("webserver",)
    timeout: int = 5

    def concerns(self, _facts: Facts) -> tuple[str, ...]:
        return self.components

    def check(self, ctx: Context) -> list[Change]:
        return self.todo

    def apply(self, ctx: Context) -> None:
        raise AssertionError("upkeep does one thing")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of a systemd whose units all run."""
    asked: list[str] = []
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *words, **_: asked.append(" ".join(words)))
    running = {"ActiveState": "active", "UnitFileState": "enabled"}
    monkeypatch.setattr(systemd, "properties", lambda *_: running)
    monkeypatch.setattr(systemd, "not_active", lambda *_: [])
    monkeypatch.setattr(systemd, "forget_failures", lambda *_: None)
    return asked


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Waits:
    made = Waits()
    monkeypatch.setattr(
        reconfigure, "all_steps", lambda _facts: [create_certificates.CreateCertificates(), made]
    )
    return made


@pytest.fixture
def old(ctx: Context, other: Waits, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> Context:
    """A host whose web server runs with a certificate that ends in 19 days."""
    web = replace(ctx.facts.components["webserver"], credentials=("tls/server.crt",))
    (ctx.paths.units / "backendai-webserver.service").touch()
    host = replace(ctx, facts=replace(ctx.facts, components={"webserver": web}))
    with monkeypatch.context() as then:
        then.setattr(tls, "SERVER_DAYS", 20)
        then.setattr(tls, "RENEW_DAYS", 10)
        create_certificates.CreateCertificates().apply(host)
    StartServices(frozenset({"webserver"})).begin(host)
    calls.clear()
    return host


def days(host: Context) -> float:
    text = (host.paths.tls / "server.crt").read_bytes()
    return tls.days_left(x509.load_pem_x509_certificate(text))


def test_what_ends_soon_is_renewed_and_what_uses_it_started_anew(
    old: Context, calls: list[str]
) -> None:
    assert days(old) < 20
    assert upkeep.plan(old) == "would renew certificates"
    assert upkeep.upkeep(old) == "the certificates are renewed"
    assert days(old) > 800
    assert "restart --no-block backendai-webserver.service" in calls
    calls.clear()
    assert (upkeep.plan(old), upkeep.upkeep(old), calls) == ("", "", [])


def test_a_service_that_waits_for_other_changes_is_named(
    old: Context, calls: list[str], other: Waits
) -> None:
    """Its settings are half-way: it is not started with them behind its operator's back."""
    other.todo = [Change("webserver.conf", "write it")]
    with pytest.raises(Pending, match=r"backendai-webserver\.service did not start") as told:
        upkeep.upkeep(old)
    assert told.value.hint == "run: backendai-ctl reconfigure"
    assert days(old) > 800
    assert not [call for call in calls if call.startswith("restart")]


def test_what_cannot_be_renewed_is_told(old: Context) -> None:
    (old.paths.tls / "ca.key").unlink()
    with pytest.raises(Problem, match=r"the key of .*ca\.crt is not there"):
        upkeep.upkeep(old)


def test_a_host_that_was_not_configured_is_left_alone(old: Context, tmp_path: Path) -> None:
    assert hooks.maintain(old.facts, lambda: old, {}) == ""
    (old.paths.ctl / "result.json").write_text('{"steps": {}}')
    hooks.no_configure(old.facts).touch()
    assert hooks.maintain(old.facts, lambda: old, {}) == ""
    assert days(old) < 20
    hooks.no_configure(old.facts).unlink()
    assert hooks.maintain(old.facts, lambda: old, {}) == "the certificates are renewed"
