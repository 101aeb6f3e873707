"""Promises of backendai_ctl.topology.listeners: one table, held against BUILD files, templates and docs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import listeners
from backendai_ctl.topology.listeners import Listener

ROOT = Path(__file__).resolve().parents[4]


def of(found: list[Listener], port: int) -> Listener:
    return next(x for x in found if x.ports[0] <= port <= x.ports[1])


def test_the_security_guide_shows_exactly_this_table(facts: Facts) -> None:
    shown = listeners.table(listeners.documented(facts))
    assert shown in (ROOT / "docs/SECURITY.md").read_text("utf-8"), shown


def test_no_port_is_documented_twice(ctx: Context) -> None:
    ports = sorted(x.ports for x in listeners.expected(ctx) if x.ports != listeners.ANY_PORT)
    assert all(one[1] < other[0] for one, other in zip(ports, ports[1:], strict=False))


def test_the_kernel_gives_no_port_of_loopback_to_an_outgoing_connection(ctx: Context) -> None:
    """net.ipv4.ip_local_port_range: a service that finds its port taken does not start."""
    local = (x for x in listeners.expected(ctx) if x.bound == "loopback")
    assert [x for x in local if x.ports[1] >= 32768] == []


def test_only_what_users_need_follows_network_listen(facts: Facts) -> None:
    site = Site.model_validate(
        {"network": {"listen": "192.0.2.7", "ports": {"webserver": {"http": 8443}}}}
    )
    ctx = Context(facts, site)
    bound = {x.ports: listeners.address(ctx, x.bound) for x in listeners.expected(ctx)}
    assert bound[8443, 8443] == bound[6021, 6021] == bound[10200, 10200] == "192.0.2.7"
    assert bound[8081, 8081] == bound[6022, 6022] == "127.0.0.1"


def test_a_host_expects_only_its_own_components(ctx: Context) -> None:
    (ctx.paths.units / "backendai-manager.service").unlink()
    assert "manager" not in {x.component for x in listeners.expected(ctx)}
    assert "webserver" in {x.component for x in listeners.expected(ctx)}


def test_containers_ports_are_those_of_the_site_file(facts: Facts) -> None:
    ctx = Context(facts, Site.model_validate({"agent": {"container_ports": (40000, 40010)}}))
    assert of(listeners.expected(ctx), 40005).unit == "backendai-docker.service"


@pytest.mark.parametrize(
    ("settings", "name", "url"),
    [
        ({}, "manager", "http://127.0.0.1:18080/health"),
        ({}, "webserver", "https://127.0.0.1:8090/health"),
        ({"tls": {"mode": "off"}}, "webserver", "http://127.0.0.1:8090/health"),
        ({"network": {"listen": "0.0.0.0"}}, "webserver", "https://127.0.0.1:8090/health"),
        ({"network": {"listen": "192.0.2.7"}}, "webserver", "https://192.0.2.7:8090/health"),
        ({"network": {"listen": "2001:db8::7"}}, "webserver", "https://[2001:db8::7]:8090/health"),
        ({"network": {"listen": "192.0.2.7"}}, "manager", "http://127.0.0.1:18080/health"),
    ],
)
def test_health_is_asked_where_the_component_listens(
    facts: Facts, settings: dict[str, Any], name: str, url: str
) -> None:
    ctx = Context(facts, Site.model_validate(settings))
    assert listeners.health_url(ctx, facts.components[name]) == url
