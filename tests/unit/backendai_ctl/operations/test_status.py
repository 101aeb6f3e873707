"""Promises of backendai_ctl.operations.status: what is well is asked for, what is not says why."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from loopback_servers import serving

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.operations import status
from backendai_ctl.platform import systemd
from backendai_ctl.site.schema import Site

WELL = '{"version": "26.9.6", "connectivity": {"overall_healthy": true}}'
UNWELL = '{"connectivity": {"overall_healthy": false}}'


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What `systemctl show` says of every unit."""
    shown = {"ActiveState": "active", "UnitFileState": "enabled"}
    now = int(time.monotonic() * 1e6)  # not an hour ago: this machine may be younger
    shown["ActiveEnterTimestampMonotonic"] = str(now)

    def properties(_unit: str, _names: Sequence[str]) -> dict[str, str]:
        return shown

    monkeypatch.setattr(systemd, "properties", properties)
    return shown


@pytest.fixture
def body() -> dict[str, tuple[int, str]]:
    return {"/readiness": (200, WELL)}


@pytest.fixture
def gateway(facts: Facts, body: dict[str, tuple[int, str]]) -> Iterator[Context]:
    """A host with nothing but a gateway, which answers `body`."""
    for path in facts.paths.units.iterdir():
        if "gateway" not in path.name:
            path.unlink()
    with serving(body) as port:
        site = {"network": {"ports": {"gateway": {"graphql": port}}}}
        yield Context(facts, Site.model_validate(site))


def cause(ctx: Context) -> str:
    """What keeps the gateway from running."""
    (error,) = status.gather(ctx).components[0].causes
    return str(error)


def test_active_and_well_is_healthy(gateway: Context, units: dict[str, str]) -> None:
    found = status.gather(gateway)
    assert not found.errors
    assert found.servers == ()
    (part,) = found.components
    assert (part.name, part.state, part.version) == ("gateway", "active", "26.9.6")
    assert part.since.endswith("+00:00")


def test_active_but_unwell_is_not(
    gateway: Context, units: dict[str, str], body: dict[str, tuple[int, str]]
) -> None:
    body["/readiness"] = (200, UNWELL)
    found = status.gather(gateway)
    assert found.errors
    assert found.components[0].message == "says that it is not healthy"


def test_a_unit_that_is_off_by_its_operators_wish_is_no_fault(
    gateway: Context, units: dict[str, str]
) -> None:
    units |= {"ActiveState": "inactive", "UnitFileState": "disabled"}
    assert status.gather(gateway).errors
    _write(gateway.paths.ready("gateway"), "fingerprint")
    found = status.gather(gateway)
    assert not found.errors
    assert found.components[0].state == "off"


def test_a_server_that_the_site_does_without_may_be_off_and_not_broken(
    facts: Facts, units: dict[str, str], body: dict[str, tuple[int, str]]
) -> None:
    for path in facts.paths.units.iterdir():
        if "prometheus" not in path.name:
            path.unlink()
    body["/-/ready"] = (200, "ready")
    with serving(body) as port:
        ports = {"prometheus": {"http": port}}
        ctx = Context(facts, Site.model_validate({"network": {"ports": ports}}))
        (part,) = status.gather(ctx).servers
        assert (part.name, part.where, part.ok) == ("prometheus", f"local 127.0.0.1:{port}", True)
        body["/-/ready"] = (503, "")
        assert status.gather(ctx).errors
        units |= {"ActiveState": "inactive", "UnitFileState": "disabled"}
        _write(ctx.paths.ready("prometheus"), "fingerprint")
        found = status.gather(ctx)
        assert not found.errors and found.servers[0].state == "off"


def test_the_step_that_keeps_it_from_running_is_named_not_those_behind_it(
    gateway: Context, units: dict[str, str]
) -> None:
    units["ActiveState"] = "inactive"
    assert "not configured" in cause(gateway)
    _write(gateway.paths.config / "gateway.json", "{}")
    assert "not started" in cause(gateway)
    result = {
        "finished": "2026-11-23T00:00:00+00:00",
        "steps": {
            "create-secrets": {"state": "done", "message": "", "hint": ""},
            "render-configs": {"state": "failed", "message": "disk full", "hint": "free some"},
            "start-services": {
                **{"state": "blocked", "message": "waits for render-configs", "hint": ""}
            },
            "register-images": {"state": "pending", "message": "database down", "hint": ""},
        },
    }
    _write(gateway.paths.ctl / "result.json", json.dumps(result))
    found = status.gather(gateway)
    assert cause(gateway) == "render-configs failed: disk full\nhint: free some"
    assert [row["step"] for row in found.unfinished] == list(result["steps"])[1:]


def test_a_step_that_this_release_does_not_know_is_told_as_it_was(
    gateway: Context, units: dict[str, str]
) -> None:
    """Until the first run after an upgrade, results are those of the release before, with its names."""
    row = {"state": "failed", "message": "etcd.ca: refused", "hint": "correct it"}
    result = {"finished": "2026-11-23T00:00:00+00:00", "steps": {"open-tunnels": row}}
    _write(gateway.paths.ctl / "result.json", json.dumps(result))
    units["ActiveState"] = "inactive"
    assert cause(gateway) == "open-tunnels failed: etcd.ca: refused\nhint: correct it"
    assert status.gather(gateway).unfinished == ({"step": "open-tunnels", **row},)


def test_waiting_ends_when_all_is_healthy_and_at_its_timeout(
    gateway: Context, units: dict[str, str], body: dict[str, tuple[int, str]]
) -> None:
    assert not status.wait(gateway, 60).errors
    body["/readiness"] = (503, "")
    began = time.monotonic()
    assert status.wait(gateway, 0.1).errors
    assert time.monotonic() - began < 30


def test_one_that_does_not_answer_in_time_still_shows_its_unit(
    facts: Facts, units: dict[str, str]
) -> None:
    for path in facts.paths.units.iterdir():
        if "gateway" not in path.name:
            path.unlink()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"gateway": {"graphql": silent.getsockname()[1]}}
        ctx = Context(facts, Site.model_validate({"network": {"ports": ports}}))
        (part,) = status.gather(ctx).components
    assert (part.state, part.ok, part.message) == ("active", False, "no answer in time")


def test_a_host_without_components_is_not_at_fault(facts: Facts) -> None:
    for path in facts.paths.units.iterdir():
        path.unlink()
    assert not status.gather(Context(facts, Site())).errors


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_rules_that_the_kernel_lost_are_a_server_that_is_not_well(
    gateway: Context, units: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruleset, "needed", lambda _ctx: True)
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(loaded, "may_look", lambda: True)
    monkeypatch.setattr(loaded, "amiss", lambda _ctx: "the kernel has no table inet backendai")
    found = status.gather(gateway)
    (rules,) = found.servers
    assert (rules.name, rules.ok) == ("firewall", False) and found.errors
    assert rules.message.startswith("the kernel has no table inet backendai; run: backendai-ctl")
    monkeypatch.setattr(loaded, "amiss", lambda _ctx: "")
    assert not status.gather(gateway).errors
