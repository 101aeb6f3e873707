"""Prometheus asks whatever shows figures where it listens, once, and the manager asks Prometheus."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import tomllib
from site_nodes import as_node, site_of

from backendai_ctl.context import Context
from backendai_ctl.rendering import render
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import listeners, metrics

NODES = site_of(
    mgmt="10.77.0.1 management storage",
    mgmt2="10.77.0.2 management",
    edge="10.77.0.21 edge",
    gpu1="fd00::11 compute storage",
)
SINGLE = {
    "manager": "http://127.0.0.1:18080/metrics",
    "storage-proxy": "http://127.0.0.1:16023/metrics",
    "appproxy-coordinator": "https://127.0.0.1:10200/metrics",
    "appproxy-worker": "https://127.0.0.1:10201/metrics",
    "appproxy-tcp-worker": "https://127.0.0.1:10202/metrics",
    "agent": "http://127.0.0.1:6003/metrics",
    "etcd": "http://127.0.0.1:8120/metrics",
    "node-exporter": "http://127.0.0.1:8131/metrics",
    "prometheus": "http://127.0.0.1:8130/metrics",
}


def text(ctx: Context, name: str) -> str:
    return render.render_file(ctx, name, "a-package")


def config(ctx: Context) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(text(ctx, "prometheus.json"))
    return made


def flags(ctx: Context, name: str) -> dict[str, str]:
    lines = [line for line in text(ctx, f"{name}.flags").splitlines() if line.startswith("--")]
    return dict(line.partition("=")[::2] for line in lines)


def toml(ctx: Context, component: str) -> dict[str, Any]:
    return tomllib.loads(render.render(ctx, ctx.facts.components[component]))


def test_a_single_host_is_asked_by_loopback(ctx: Context) -> None:
    assert {target.service: target.url for target in metrics.targets(ctx)} == SINGLE


def test_what_is_not_on_this_host_is_not_asked(ctx: Context) -> None:
    for name in ("agent", "node-exporter"):
        (ctx.paths.units / f"backendai-{name}.service").unlink()
    theirs = Context(ctx.facts, Site.model_validate({"etcd": {"mode": "external"}}))
    asked = {target.service for target in metrics.targets(theirs)}
    assert asked == {*SINGLE} - {"agent", "node-exporter", "etcd"}


def test_the_site_files_ports_and_addresses_are_followed(ctx: Context) -> None:
    network = {"listen": "192.0.2.7", "ports": {"agent": {"service": 6100}}}
    site = Site.model_validate({"network": network, "tls": {"mode": "off"}})
    asked = {t.service: t.url for t in metrics.targets(Context(ctx.facts, site))}
    assert asked["agent"] == "http://127.0.0.1:6100/metrics"
    assert asked["appproxy-worker"] == "http://192.0.2.7:10201/metrics"


@pytest.mark.parametrize(
    ("listen", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        ("0.0.0.0", "127.0.0.1/32"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::7", None),
    ],
)
def test_the_app_proxy_tells_its_figures_to_its_own_host(
    ready: Context, listen: str, allowed: str | None
) -> None:
    """It takes IPv4 alone: where that does not do, it is not asked at all."""
    ctx = Context(ready.facts, Site.model_validate({"network": {"listen": listen}}))
    asked = {t.service: t.place.netloc.rpartition(":")[0] for t in metrics.targets(ctx)}
    for name in ("coordinator", "worker", "tcp-worker"):
        table = f"proxy_{name.removeprefix('tcp-')}"
        found = toml(ctx, f"appproxy-{name}")[table].get("metric_access_allowed_hosts")
        assert found == allowed
        assert asked.get(f"appproxy-{name}") == (allowed and allowed.removesuffix("/32"))


def test_other_nodes_are_asked_for_what_they_have_open_for_it(ready: Context) -> None:
    ctx = as_node(ready.facts, "mgmt", NODES)
    asked = {(t.service, t.node): t.place.netloc for t in metrics.targets(ctx)}
    assert asked["agent", "gpu1"] == "[fd00::11]:6003"
    assert asked["storage-proxy", "gpu1"] == "[fd00::11]:16023"
    assert asked["storage-proxy", "mgmt"] == "10.77.0.1:16023", "it listens nowhere else"
    exporters = {node for service, node in asked if service == "node-exporter"}
    assert exporters == {"mgmt", "mgmt2", "edge", "gpu1"}
    assert ("manager", "mgmt2") not in asked and ("appproxy-worker", "edge") not in asked


def test_whoever_is_asked_by_other_nodes_listens_for_them(ready: Context) -> None:
    ctx = as_node(ready.facts, "gpu1", NODES)
    (ctx.paths.units / "backendai-prometheus.service").unlink()  # its roles bring none
    assert toml(ctx, "agent")["agent"]["service-addr"]["host"] == "fd00::11"
    manager = toml(ctx, "storage-proxy")["api"]["manager"]
    assert manager["internal-addr"]["host"] == manager["announce-internal-addr"]["host"]
    assert manager["internal-addr"]["host"] == "fd00::11"
    assert flags(ctx, "node-exporter")["--web.listen-address"] == "[fd00::11]:8131"
    own = ctx.facts.components["agent"]
    assert listeners.health_url(ctx, own) == "http://[fd00::11]:6003/health"
    bound = {x.ports[0]: x.bound for x in listeners.expected(ctx)}
    assert (bound[6003], bound[16023], bound[8131]) == ("agent", "agent", "agent")


def test_prometheus_itself_stays_on_loopback_everywhere(ready: Context) -> None:
    """Each manager has one on its own host."""
    for ctx in (ready, as_node(ready.facts, "mgmt", NODES), as_node(ready.facts, "mgmt2", NODES)):
        assert flags(ctx, "prometheus")["--web.listen-address"] == "127.0.0.1:8130"
        addr = toml(ctx, "manager")["metric"]["addr"]
        assert addr == {"host": "127.0.0.1", "port": 8130}


def test_another_port_is_known_to_all(ready: Context) -> None:
    ports = {"prometheus": {"http": 8230}, "registry": {"http": 8240}}
    ctx = Context(ready.facts, Site.model_validate({"network": {"ports": ports}}))
    assert flags(ctx, "prometheus")["--web.listen-address"] == "127.0.0.1:8230"
    assert toml(ctx, "manager")["metric"]["addr"]["port"] == 8230
    assert json.loads(text(ctx, "registry.json"))["http"]["addr"] == "127.0.0.1:8240"


def test_no_place_is_asked_twice(ready: Context) -> None:
    """Upstream adds up what it finds of a session: figures that come twice would count twice."""
    for ctx in (ready, as_node(ready.facts, "mgmt", NODES)):
        asked = Counter(
            target
            for job in config(ctx)["scrape_configs"]
            for row in job["static_configs"]
            for target in row["targets"]
        )
        assert len(asked) >= len(SINGLE) and set(asked.values()) == {1}


def test_figures_are_labelled_with_service_and_node(ready: Context) -> None:
    jobs = {
        job["job_name"]: job
        for job in config(as_node(ready.facts, "mgmt", NODES))["scrape_configs"]
    }
    labels = [row["labels"] for row in jobs["node-exporter"]["static_configs"]]
    assert {"service_group": "node-exporter", "node": "edge"} in labels
    (alone,) = config(ready)["scrape_configs"][0]["static_configs"]
    assert "node" not in alone["labels"] or alone["labels"]["node"] == "mgmt"


def test_a_certificate_is_checked_nowhere_but_needed_on_the_own_host_alone(ready: Context) -> None:
    unchecked = {
        job["job_name"]: job["static_configs"]
        for job in config(ready)["scrape_configs"]
        if job.get("tls_config", {}).get("insecure_skip_verify")
    }
    assert set(unchecked) == {"appproxy-coordinator", "appproxy-worker", "appproxy-tcp-worker"}
    assert all(t.startswith("127.0.0.1:") for (row,) in unchecked.values() for t in row["targets"])


def test_what_is_kept_is_the_site_files(ready: Context) -> None:
    found = flags(ready, "prometheus")
    assert found["--storage.tsdb.retention.time"] == "15d"
    assert found["--storage.tsdb.retention.size"] == "8GB"
    ctx = Context(ready.facts, Site.model_validate({"metrics": {"days": 90, "size": "200G"}}))
    found = flags(ctx, "prometheus")
    assert found["--storage.tsdb.retention.time"] == "90d"
    assert found["--storage.tsdb.retention.size"] == "200GB"


def test_nobody_changes_anything_by_its_port(ready: Context) -> None:
    found = {key.lstrip("-") for key in flags(ready, "prometheus")}
    assert not [key for key in found if "admin" in key or "lifecycle" in key or "write" in key]
    assert flags(ready, "prometheus")["--web.cors.origin"] == "none"
