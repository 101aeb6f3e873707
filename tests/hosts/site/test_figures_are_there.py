"""Promise: Prometheus hears of every service and host, and a session is shown with what it uses."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote

import pytest
from people import People
from scenario import changed, ctl
from site_host import SERVICES, SiteHost

API = "http://127.0.0.1:8130/api/v1/"
ALERTS = {
    "NoMetrics",
    "EtcdWithoutLeader",
    "EtcdAlmostFull",
    "DiskAlmostFull",
    "DiskFull",
    "InodesAlmostGone",
    "MemoryAlmostFull",
    "KilledForMemory",
}
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"
PYTHON = "/opt/backendai/current/bin/python"
SILENT = ("webserver", "gateway")  # upstream's tell no figures
HEARD = {*SERVICES, "etcd", "prometheus", "node-exporter"} - {*SILENT}
LIVE_STAT = "query ($id: UUID!) { compute_session(id: $id) { containers { live_stat } } }"
WAIT = 150  # seconds; agents measure twice a minute, Prometheus asks four times
UNIT = "backendai-prometheus.service"


def ask(site: SiteHost, what: str) -> dict[str, Any]:
    """`data` of an answer of Prometheus."""
    said = site.host.check([PYTHON, "-I", "-c", FETCH, API + what]).stdout
    data: dict[str, Any] = json.loads(said)["data"]
    return data


def figures(site: SiteHost, query: str) -> list[dict[str, Any]]:
    """Rows of a query: `metric` (labels) and `value` (when, what)."""
    rows: list[dict[str, Any]] = ask(site, f"query?query={quote(query)}")["result"]
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


def test_alerts_ask_for_what_is_measured(allinone: SiteHost) -> None:
    """A rule over a metric that nobody gives would never warn."""
    wait_up(allinone)
    rules = [rule for group in ask(allinone, "rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == ALERTS
    for rule in rules:
        assert rule["health"] == "ok", rule
        assert rule["annotations"]["summary"] and rule["annotations"]["hint"], rule
        for metric in re.findall(r"\b(?:up|(?:node|etcd)_\w+)\b", rule["query"]):
            assert figures(allinone, metric), metric


@pytest.mark.breadth
def test_doctor_tells_an_alert(allinone: SiteHost) -> None:
    """After the minutes that a service may be silent."""
    silent = "backendai-node-exporter.service"
    allinone.host.check(["systemctl", "stop", silent])
    try:
        until = time.monotonic() + 300
        found: dict[str, Any] = {}
        while found.get("level") != "warn" and time.monotonic() < until:
            time.sleep(5)
            said = ctl(allinone.host, "doctor", status=1)
            (found,) = [c for c in said["findings"] if c["name"] == "alerts"]
        assert found["message"] == "node-exporter gives no metrics", found
        assert found["hint"] == "see there: backendai-ctl status"
    finally:
        allinone.host.check(["systemctl", "start", silent])
    allinone.wait_healthy()
    wait_up(allinone)


def test_doctor_counts_them(allinone: SiteHost) -> None:
    checks = {c["name"]: c for c in allinone.ctl("doctor")["findings"]}
    for name in ("prometheus", "node-exporter", "metrics"):
        assert checks[name]["level"] == "ok", checks[name]
    # The disk below this host may be almost full, which is nobody's fault here.
    told = checks["alerts"]["message"]
    assert told == "none" or re.fullmatch(r"(\S+ has [\d.]+% left(; )?)+", told), told


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
