"""Promises of backendai_ctl.checks.nodes: what is wrong with a node is named, with a cure."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from site_nodes import site_of

from backendai_ctl.checks import checks, nodes
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import announced
from backendai_ctl.nodes.announced import Told
from backendai_ctl.topology import here
from backendai_ctl.validation.load import parse

SITE = site_of(mgmt="127.0.0.2 management", store="127.0.0.3 storage", gpu1="127.0.0.4 compute")
At = Callable[..., Context]


@pytest.fixture
def at(facts: Facts) -> At:
    """The context of a node of a site on one machine; ports may be given."""

    def make(node: str, **ports: int) -> Context:
        text = SITE
        for component, port in ports.items():
            what = {"agent": "rpc", "storage_proxy": "manager"}[component]
            text += f"[network.ports.{component.replace('_', '-')}]\n{what} = {port}\n"
        facts.paths.site_file.write_text(text)
        site = parse(facts.paths.site_file, text.replace("127.0.0.", "10.0.0."), facts, node=node)
        changed = {
            name: known.model_copy(update={"address": known.address.replace("10.", "127.")})
            for name, known in site.nodes.items()
        }
        site = site.model_copy(update={"nodes": changed})
        here.name_file(facts).write_text(f"{node}\n")
        return here.context(facts, site)

    return make


@pytest.fixture(autouse=True)
def host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "bare")


def test_only_nodes_are_checked_as_nodes(ctx: Context, at: At) -> None:
    assert "nodes" not in {check.group for check in checks.checks(ctx)}
    assert "nodes" in {check.group for check in checks.checks(at("gpu1"))}


def test_the_name_of_another_node_and_a_missing_package_are_named(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = at("gpu1")
    assert nodes.identity(ctx).level == "ok"
    monkeypatch.setattr(socket, "gethostname", lambda: "store")
    assert "the name of another node" in nodes.identity(ctx).message
    (ctx.paths.units / "backendai-agent.service").unlink()
    result = nodes.identity(ctx)
    assert (result.level, result.message) == ("fail", "role compute without agent")
    assert "apt install backendai-compute-node" in result.hint


def test_ports_of_other_nodes_are_connected_to(at: At, free_port: int) -> None:
    with socket.create_server(("127.0.0.3", 0)) as store:
        port = store.getsockname()[1]
        result = nodes.reach(at("mgmt", storage_proxy=port, agent=free_port))
    assert result.level == "warn", "a site goes on without a compute node"
    said = f"gpu1 127.0.0.4:{free_port} (agent, rpc): connection refused"
    assert said in result.message and "gpu1 127.0.0.4:6003 (agent, service)" in result.message
    result = nodes.reach(at("mgmt", storage_proxy=port, agent=free_port))
    assert result.level == "fail"
    assert f"store 127.0.0.3:{port} (storage-proxy, manager)" in result.message
    result = nodes.reach(at("gpu1"))
    assert result.level == "warn", "its sessions run without the registry"
    assert "(registry, http)" in result.message


def test_a_node_set_up_by_another_site_file_is_told_the_cure(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = at("gpu1")
    mine = announced.mine(ctx)
    monkeypatch.setattr(announced, "told", lambda _: {"mgmt": mine})
    assert nodes.site_file(ctx).level == "ok"
    monkeypatch.setattr(announced, "told", lambda _: {"mgmt": Told("new", mine.version)})
    result = nodes.site_file(ctx)
    assert result.level == "warn" and "node export gpu1" in result.hint
    monkeypatch.setattr(announced, "told", lambda _: {})
    assert nodes.site_file(ctx).level == "skip"


def test_the_node_that_exports_names_those_behind(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = at("mgmt")
    mine = announced.mine(ctx)
    monkeypatch.setattr(announced, "told", lambda _: {"gpu1": Told("old", mine.version)})
    result = nodes.others(ctx)
    assert result.message == "store has not joined; gpu1 its site file is not the one of mgmt"
    monkeypatch.setattr(announced, "told", lambda _: {"gpu1": mine, "store": mine})
    assert nodes.others(ctx).level == "ok"
    assert nodes.others(at("gpu1")).level == "skip"


def test_clocks_that_differ_are_a_warning(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = at("gpu1")
    monkeypatch.setattr(announced, "clock", lambda _: time.time() + 60)
    result = nodes.clock(ctx)
    assert result.level == "warn" and "+60 s" in result.message
    monkeypatch.setattr(announced, "clock", lambda _: time.time() - 1)
    assert nodes.clock(ctx).level == "ok"


def test_a_cache_that_is_away_is_said_and_not_fatal(
    at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Context) -> float:
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(announced, "told", away)
    monkeypatch.setattr(announced, "clock", away)
    for node, look in (("gpu1", nodes.site_file), ("mgmt", nodes.others), ("gpu1", nodes.clock)):
        assert look(at(node)).message == "cache: connection refused"
