"""Promise: Prometheus hears of every service and host, and a session is shown with what it uses."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from people import People
from scenario import changed
from site_host import SERVICES, SiteHost

ASKED = "http://127.0.0.1:8130/api/v1/query?query="
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"
PYTHON = "/opt/backendai/current/bin/python"
SILENT = ("webserver", "gateway")  # upstream's tell no figures
HEARD = {*SERVICES, "etcd", "prometheus", "node-exporter"} - {*SILENT}
LIVE_STAT = "query ($id: UUID!) { compute_session(id: $id) { containers { live_stat } } }"
WAIT = 150  # seconds; agents measure twice a minute, Prometheus asks four times
UNIT = "backendai-prometheus.service"


def figures(site: SiteHost, query: str) -> list[dict[str, Any]]:
    """Rows of an answer of Prometheus: `metric` (labels) and `value` (when, what)."""
    said = site.host.check([PYTHON, "-I", "-c", FETCH, ASKED + quote(query)]).stdout
    rows: list[dict[str, Any]] = json.loads(said)["data"]["result"]
    return rows


def up(site: SiteHost) -> dict[str, str]:
    return {row["metric"]["job"]: row["value"][1] for row in figures(site, "up")}


def wait_up(site: SiteHost) -> None:
    until = time.monotonic() + WAIT
    while up(site) != dict.fromkeys(HEARD, "1") and time.monotonic() < until:
        time.sleep(3)
    assert up(site) == dict.fromkeys(HEARD, "1")


def test_prometheus_hears_of_every_service(allinone: SiteHost) -> None:
    wait_up(allinone)
    groups = {row["metric"]["service_group"] for row in figures(allinone, "up")}
    assert groups == HEARD, "upstream's dashboards ask by it"


@pytest.mark.parametrize(
    "query",
    [
        "node_memory_MemAvailable_bytes",
        "node_filesystem_avail_bytes",
        "node_load1",
        "node_network_receive_bytes_total",
        "node_cpu_seconds_total",
        "backendai_device_utilization",
        "etcd_server_has_leader == 1",
    ],
)
def test_hosts_and_devices_are_measured(allinone: SiteHost, query: str) -> None:
    until = time.monotonic() + WAIT
    while not (found := figures(allinone, query)) and time.monotonic() < until:
        time.sleep(3)
    assert found


def test_doctor_counts_them(allinone: SiteHost) -> None:
    checks = {c["name"]: c for c in allinone.ctl("doctor")["findings"]}
    for name in ("prometheus", "node-exporter", "figures"):
        assert checks[name]["level"] == "ok", checks[name]


def test_a_session_is_shown_with_what_it_uses(people: People) -> None:
    """To its owner, in the way of the web UI. These hosts measure no memory, so it is packets."""
    with people.ann.session("measured") as session:
        found: dict[str, dict[str, Any]] = {}
        until = time.monotonic() + WAIT
        while not float(found.get("net_rx", {}).get("current", 0)) and time.monotonic() < until:
            time.sleep(3)
            (container,) = people.ann.ask(LIVE_STAT, id=session)["compute_session"]["containers"]
            found = json.loads(container["live_stat"] or "{}")
        assert float(found["net_rx"]["current"]) > 0, found
        assert {"mem", "net_tx", "io_read", "io_write"} <= set(found)  # rates of cores come later


def test_nobody_else_is_answered(allinone: SiteHost) -> None:
    """No port of it leaves loopback, nobody changes or ends anything by it, no page reads it."""
    host = allinone.host
    bound = host.sh("ss -Hltn 'sport = 8130 or sport = 8131' | awk '{print $4}'").split()
    assert sorted(bound) == ["127.0.0.1:8130", "127.0.0.1:8131"]
    code = (
        "import http.client as c; s = c.HTTPConnection('127.0.0.1', 8130)\n"
        "def ask(*words, **head):\n"
        "    s.request(*words, headers=head); a = s.getresponse(); a.read(); return a\n"
        "print(ask('POST', '/-/quit').status, ask('POST', '/-/reload').status)\n"
        "print(ask('POST', '/api/v1/admin/tsdb/snapshot').status)\n"
        "print(ask('GET', '/api/v1/labels', Origin='https://ai.example')"
        ".getheader('Access-Control-Allow-Origin'))"
    )
    said = host.check([PYTHON, "-I", "-c", code]).stdout.split()
    assert [int(word) >= 400 for word in said[:3]] == [True] * 3 and said[3] == "None", said


def test_a_site_does_without_it(allinone: SiteHost) -> None:
    """Disabled it is off, which is no fault, and stays so; enabled it is asked again."""
    host = allinone.host
    host.check(["systemctl", "disable", "--now", UNIT], timeout=150)
    try:
        shown = allinone.ctl("status")
        assert shown["ok"] is True
        (part,) = [row for row in shown["servers"] if row["name"] == "prometheus"]
        assert part["state"] == "off"
        assert changed(host) == []
        assert host.sh(f"systemctl is-active {UNIT} || :") == "inactive"
    finally:
        host.check(["systemctl", "enable", "--now", UNIT], timeout=150)
    allinone.wait_healthy()
    wait_up(allinone)
    assert changed(host) == []
