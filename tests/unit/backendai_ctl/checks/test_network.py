"""Promises of backendai_ctl.checks.network, with real sockets where a port matters."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.checks import network
from backendai_ctl.checks.sockets import Socket
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.platform import resolv
from backendai_ctl.services import dropins
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import bridge


def sockets(monkeypatch: pytest.MonkeyPatch, *found: Socket) -> None:
    monkeypatch.setattr(network, "_sockets", lambda: found)


def test_a_port_held_by_another_program_is_a_fault(facts: Facts) -> None:
    network._sockets.cache_clear()
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        site = {"network": {"ports": {"manager": {"api": port}}}}
        found = network.ports(Context(facts, Site.model_validate(site)))
    network._sockets.cache_clear()
    assert found.level == "fail"
    assert f"{port} (manager, api) is held by" in found.message
    assert "[network.ports.manager]" in found.hint


def test_a_port_held_by_its_own_unit_is_none(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [
        Socket("127.0.0.1", 8081, "backendai-manager.service"),
        Socket("127.0.0.1", 8100, "backendai-postgresql.service"),
        Socket("127.0.0.1", 10250, "backendai-appproxy-worker.service"),
    ]
    sockets(monkeypatch, *held)
    assert network.ports(ctx).level == "ok"
    sockets(monkeypatch, *held, Socket("::1", 8090, "nginx.service"))
    assert network.ports(ctx).level == "ok"  # another address
    sockets(monkeypatch, *held, Socket("::", 8090, "nginx.service", "nginx", 7))
    assert "nginx (process 7, nginx.service)" in network.ports(ctx).message


def test_before_installation_only_what_roles_bring_wants_a_port(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ctx.paths.units.iterdir():
        path.unlink()
    roles = {
        name: replace(role, beside=tuple(one for one in role.beside if one != "registry"))
        for name, role in ctx.facts.roles.items()
    }
    sockets(monkeypatch, Socket("127.0.0.1", 8140, "theirs.service"))
    assert network.ports(ctx).level == "fail"
    without = replace(ctx, facts=replace(ctx.facts, roles=roles))
    assert network.ports(without).level == "ok", "no role brings the registry"
    sockets(monkeypatch, Socket("127.0.0.1", 8130, "theirs.service"))
    found = network.ports(ctx)
    assert found.level == "fail" and "[network.ports.prometheus]" in found.hint


def test_servers_that_are_elsewhere_want_no_port(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets(monkeypatch, Socket("127.0.0.1", 8100, "pgbouncer.service"))
    assert network.ports(Context(facts, Site())).level == "fail"
    site = Site.model_validate({"database": {"mode": "external", "host": "db.example"}})
    assert network.ports(Context(facts, site)).level == "ok"


def test_what_is_reachable_without_being_documented_is_told(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site.model_validate({"network": {"listen": "192.0.2.7"}})
    ctx = Context(facts, site)
    web = Socket("192.0.2.7", 8090, "backendai-webserver.service")
    metadata = Socket("172.17.0.1", 40128, "backendai-agent.service")
    foreign = Socket("0.0.0.0", 22, "ssh.service")
    sockets(monkeypatch, web, metadata, foreign)
    assert network.exposure(ctx).level == "ok"
    figures = Socket("192.0.2.7", 8131, "backendai-node-exporter.service")
    sockets(monkeypatch, web, figures)
    assert network.exposure(ctx).level == "warn"
    monitor = Socket("0.0.0.0", 48600, "backendai-appproxy-worker.service")
    sockets(monkeypatch, web, monitor)
    found = network.exposure(ctx)
    assert (found.level, found.message) == (
        "warn",
        "backendai-appproxy-worker.service on 0.0.0.0:48600",
    )


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({}, "ok"),
        ({"site": {"address": "nowhere.invalid"}}, "fail"),
        ({"site": {"address": "192.0.2.7"}}, "warn"),  # but everything listens on loopback
        ({"site": {"address": "192.0.2.7"}, "network": {"listen": "0.0.0.0"}}, "ok"),
    ],
)
def test_the_sites_address_must_lead_here(
    facts: Facts, settings: dict[str, Any], level: str
) -> None:
    assert network.site_address(Context(facts, Site.model_validate(settings))).level == level


@pytest.mark.parametrize(
    ("names", "level", "said"),
    [
        ({"localhost": ["127.0.0.1"]}, "warn", "is unknown"),
        ({"localhost": ["127.0.0.1"], "app": ["192.0.2.1"]}, "warn", "is 192.0.2.1, not 127.0.0.1"),
        ({"localhost": ["127.0.0.1"], "app": ["127.0.0.1"]}, "ok", "is 127.0.0.1"),
    ],
)
def test_names_of_apps_must_lead_to_the_site(
    facts: Facts,
    monkeypatch: pytest.MonkeyPatch,
    names: dict[str, list[str]],
    level: str,
    said: str,
) -> None:
    monkeypatch.setattr(network, "resolve", lambda name: names.get(name.partition("-")[0], []))
    assert network.apps_domain(Context(facts, Site())).level == "skip"
    site = Site.model_validate({"apps": {"domain": "apps.example.org"}})
    found = network.apps_domain(Context(facts, site))
    assert found.level == level and found.message.endswith(said), found


def test_an_address_must_be_one_of_this_host(facts: Facts) -> None:
    (facts.paths.units / "backendai-agent.service").unlink()
    assert network.addresses(Context(facts, Site())).level == "ok"
    site = Site.model_validate({"network": {"listen": "192.0.2.7"}})
    assert network.addresses(Context(facts, site)).level == "fail"


@pytest.mark.parametrize(
    ("named", "has", "level", "hint"),
    [
        ("", "127.0.0.1", "ok", ""),
        ("", "", "fail", "systemctl start backendai-docker"),
        ("127.0.0.1", "", "ok", ""),
        ("192.0.2.9", "", "fail", "systemctl start backendai-docker"),
        ("192.0.2.9", "10.5.0.1", "fail", "Docker's bridge has 10.5.0.1: name that, or leave"),
    ],
)
def test_the_containers_bridge_must_be_there(
    facts: Facts, monkeypatch: pytest.MonkeyPatch, named: str, has: str, level: str, hint: str
) -> None:
    monkeypatch.setattr(bridge, "found", lambda _ctx: has)
    site = Site.model_validate({"agent": {"bridge": named}} if named else {})
    found = network.addresses(Context(facts, site))
    assert found.level == level and hint in found.hint, found


def test_an_agent_that_was_configured_before_the_bridge_moved_is_told(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "found", lambda _ctx: "10.5.0.1")
    file = ctx.paths.config / "agent.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('metadata-server-bind-host = "172.17.0.1"\n')
    found = network.addresses(ctx)
    assert found.level == "fail"
    assert found.message == "Docker's bridge has 10.5.0.1, the agent was configured with 172.17.0.1"
    assert found.hint == "run: backendai-ctl reconfigure"


def test_services_must_be_allowed_to_ask_for_names(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolv, "FILE", tmp_path / "resolv.conf")
    monkeypatch.setattr(dropins, "FOLDER", tmp_path)
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    assert network.name_servers(ctx).level == "ok"
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    found = network.name_servers(ctx)
    assert found.level == "fail" and found.message.startswith("192.0.2.53 of ")
    assert found.hint == "run: backendai-ctl reconfigure"
    wanted = dropins.wanted(ctx)
    assert all("IPAddressAllow=192.0.2.53\n" in text for text in wanted.values())
    for path, text in wanted.items():
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert network.name_servers(ctx).level == "ok"


def test_localhost_must_not_depend_on_dns(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tmp_path / "hosts"
    monkeypatch.setattr(network, "HOSTS", hosts)
    hosts.write_text("127.0.0.1\tlocalhost.localdomain localhost # the machine\n")
    assert network.localhost(ctx).level == "ok"
    hosts.write_text("# 127.0.0.1 localhost\n::1 localhost\n")
    assert network.localhost(ctx).level in ("warn", "fail")
