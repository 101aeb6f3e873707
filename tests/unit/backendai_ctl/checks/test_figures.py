"""doctor looks at servers that the site does without, and names what Prometheus hears nothing of."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from loopback_servers import serving

from backendai_ctl.checks import checks, figures
from backendai_ctl.context import Context
from backendai_ctl.platform import systemd
from backendai_ctl.result import fail, ok, warn
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import own_servers

SILENT = "/api/v1/query?query=up%3D%3D0"
ALERTS = "/api/v1/alerts"


@pytest.fixture(autouse=True)
def units(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What `systemctl show` says of every unit."""
    shown = {"ActiveState": "active", "UnitFileState": "enabled"}
    monkeypatch.setattr(systemd, "properties", lambda _unit, _names: shown)
    return shown


@pytest.fixture
def answers() -> dict[str, tuple[int, str]]:
    return {"/-/ready": (200, "ready"), SILENT: (200, _vector()), ALERTS: (200, _alerts())}


@pytest.fixture
def asked(ctx: Context, answers: dict[str, tuple[int, str]]) -> Iterator[Context]:
    """A host with a Prometheus that answers so."""
    with serving(answers) as port:
        ports = {"prometheus": {"http": port}}
        yield Context(ctx.facts, Site.model_validate({"network": {"ports": ports}}))


def _vector(*labels: dict[str, str]) -> str:
    return json.dumps({"data": {"result": [{"metric": row, "value": [0, "0"]} for row in labels]}})


def _alerts(*rows: dict[str, object]) -> str:
    return json.dumps({"data": {"alerts": [{"activeAt": "", "value": "1", **row} for row in rows]}})


def test_they_are_looked_at_where_they_are(ctx: Context) -> None:
    wanted = {"prometheus", "node-exporter", "metrics", "alerts"}
    assert wanted <= {check.name for check in checks.checks(ctx)}
    for name in ("prometheus", "node-exporter"):
        (ctx.paths.units / f"backendai-{name}.service").unlink()
    assert not wanted & {check.name for check in checks.checks(ctx)}


def test_one_that_answers_is_well(asked: Context) -> None:
    assert figures.server("prometheus")(asked).level == "ok"


def test_one_that_does_not_is_told_with_what_systemd_says(
    asked: Context, answers: dict[str, tuple[int, str]], units: dict[str, str]
) -> None:
    answers["/-/ready"] = (503, "")
    units["ActiveState"] = "failed"
    found = figures.server("prometheus")(asked)
    assert found.level == "fail"
    assert found.message == "HTTP 503; backendai-prometheus.service is failed"


def test_one_that_its_operator_disabled_is_no_fault(asked: Context, units: dict[str, str]) -> None:
    flag = asked.paths.ready("prometheus")
    flag.parent.mkdir(parents=True)
    flag.write_text("started\n")
    units |= {"ActiveState": "inactive", "UnitFileState": "disabled"}
    assert figures.server("prometheus")(asked).level == "skip"


def test_figures_that_all_come_are_well(asked: Context) -> None:
    found = figures.targets(asked)
    assert (found.level, found.message) == ("ok", "of 9 places")


def test_who_tells_no_figures_is_named(asked: Context, answers: dict[str, tuple[int, str]]) -> None:
    gone = {"job": "agent", "node": "gpu1", "instance": "10.0.0.11:6003"}
    answers[SILENT] = (200, _vector(gone, {"job": "etcd", "instance": "127.0.0.1:8120"}))
    found = figures.targets(asked)
    assert found.level == "warn"
    assert found.message == "none of agent on gpu1 (10.0.0.11:6003), etcd (127.0.0.1:8120)"


def test_a_prometheus_that_is_away_is_the_other_checks_fault(ctx: Context, free_port: int) -> None:
    ports = {"prometheus": {"http": free_port}}
    gone = Context(ctx.facts, Site.model_validate({"network": {"ports": ports}}))
    assert figures.targets(gone).level == figures.alerts(gone).level == "skip"
    assert own_servers.here(gone, "prometheus")


def test_what_prometheus_warns_of_is_told(
    asked: Context, answers: dict[str, tuple[int, str]]
) -> None:
    assert figures.alerts(asked) == ok("none")
    full = {
        "state": "firing",
        "labels": {"alertname": "DiskFull", "severity": "critical"},
        "annotations": {"summary": "/ has 2% left", "hint": "make room"},
    }
    soon = {**full, "state": "pending"}
    mine = {"state": "firing", "labels": {"alertname": "Mine"}, "annotations": {}}
    answers[ALERTS] = (200, _alerts(soon))
    assert figures.alerts(asked) == ok("none")
    answers[ALERTS] = (200, _alerts(full, mine, soon))
    assert figures.alerts(asked) == fail("/ has 2% left", "make room")
    answers[ALERTS] = (200, _alerts(mine, soon))
    assert figures.alerts(asked) == warn("Mine")
