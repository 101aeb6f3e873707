"""Roles say what runs where, and what runs where says what listens beyond loopback."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tomllib
from declared import GENERATED
from site_nodes import EDGE

from backendai_ctl.context import Context
from backendai_ctl.database import proxy
from backendai_ctl.etcd import settings
from backendai_ctl.facts import Facts
from backendai_ctl.pki import issuing
from backendai_ctl.rendering.render import render
from backendai_ctl.services import dropins
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import addresses, layout, listeners

SECOND = """
[nodes.mgmt2]
address = "10.77.0.3"
roles = ["management"]
"""
At = Callable[..., Context]


def bound(ctx: Context) -> set[tuple[str, str, str]]:
    """Component, purpose and address of what leaves loopback."""
    found = listeners.expected(ctx)
    rows = {(x.component, x.what, listeners.address(ctx, x.bound)) for x in found}
    return {row for row in rows if row[2] != "127.0.0.1"}


def rendered(ctx: Context, component: str) -> dict[str, dict[str, object]]:
    for name in GENERATED:
        ctx.secrets.create(name)
    return tomllib.loads(render(ctx, ctx.facts.components[component]))


def test_components_follow_the_roles(at: At) -> None:
    ctx = at("mgmt")
    assert "manager" in ctx.facts.installed() and not ctx.here("agent")
    assert set(at("gpu2").facts.installed()) == {"agent", "storage-proxy"}
    assert at("gpu1").facts.installed() == ("agent",)


def test_edge_nodes_take_over_what_users_reach(at: At) -> None:
    ctx = at("mgmt", EDGE)
    assert ctx.facts.installed() == ("manager",)
    assert layout.running(ctx.site, ctx.facts, "webserver") == ["edge"]
    assert layout.front(ctx.site, ctx.facts) == "edge"
    assert proxy.address(ctx) == "https://10.77.0.21:10200"


@pytest.mark.usefixtures("templates")
def test_apps_have_names_where_the_site_has_a_domain_for_them(at: At) -> None:
    """On each node with an app proxy for HTTP others, which its certificate is for."""
    domain = '[apps]\ndomain = "apps.example.org"\n'
    first, second = (at(node, f"{SECOND}{domain}") for node in ("mgmt", "mgmt2"))
    worker = rendered(first, "appproxy-worker")["proxy_worker"]
    assert worker["frontend_mode"] == "wildcard" and "port_proxy" not in worker
    named = {"domain": ".apps.example.org", "bind_addr": {"host": "10.77.0.1", "port": 10205}}
    assert worker["wildcard_domain"] == named
    assert worker["api_advertised_addr"] == {"host": "app-proxy.apps.example.org", "port": 10201}
    assert rendered(first, "appproxy-tcp-worker")["proxy_worker"]["frontend_mode"] == "port"
    assert layout.apps_domain(second.site, second.facts, "mgmt2") == "mgmt2.apps.example.org"
    assert layout.apps_domain(second.site, second.facts, "gpu1") == ""
    assert "*.apps.example.org" in issuing.names(first)
    assert "*.mgmt2.apps.example.org" in issuing.names_of_node(first, "mgmt2")


def test_a_single_host_has_nothing_of_it(ctx: Context) -> None:
    site, facts = ctx.site, ctx.facts
    assert not layout.running(site, facts, "manager") and not layout.origin(site, facts)
    assert not layout.server_exposed(site, facts, "valkey")
    assert layout.storage_proxies(site, facts) == {"local": ""}
    assert layout.public_host(site, facts, "") == "localhost"
    assert listeners.bind(ctx, "manager", "api") == "127.0.0.1"


def test_other_nodes_find_the_servers_of_the_management_node(at: At) -> None:
    ctx = at("gpu1")
    assert ctx.site.etcd.mode == "external" and ctx.site.etcd.endpoints == ["10.77.0.1:8120"]
    assert ctx.site.cache.host == "10.77.0.1" and ctx.site.database.host == "10.77.0.1"
    own = at("mgmt")
    assert own.site.etcd.mode == "local" and own.site.etcd.endpoints == ["127.0.0.1:8120"]
    assert addresses.shared_cache_address(own) == "10.77.0.1:8110"


def test_external_servers_stay_as_the_site_file_has_them(at: At, tmp_path) -> None:  # type: ignore[no-untyped-def]
    secret = tmp_path / "password"
    secret.write_text("x\n")
    secret.chmod(0o600)
    more = f'[cache]\nmode = "external"\nhost = "10.9.9.9"\npassword_file = "{secret}"\n'
    ctx = at("gpu1", more)
    assert ctx.site.cache.host == "10.9.9.9"
    assert not layout.serving(ctx.site, ctx.facts, "valkey")


def test_only_what_other_nodes_need_leaves_loopback(at: At) -> None:
    users = {"webserver", "appproxy-coordinator", *at("mgmt").facts.carriers(), "storage-proxy"}
    own = {row for row in bound(at("mgmt")) if row[0] not in users | {"docker"}}
    names = {("valkey", "clients"), ("etcd", "clients"), ("registry", "http")}
    assert own == {(*name, "10.77.0.1") for name in names}
    assert ("storage-proxy", "manager", "10.77.0.2") in bound(at("store"))
    assert ("agent", "rpc", "10.77.0.11") in bound(at("gpu1"))
    with_edge = {row[:2] for row in bound(at("mgmt", EDGE))}
    assert {("manager", "api"), ("postgresql", "sql")} <= with_edge
    assert ("manager", "internal") not in with_edge


def test_urls_lead_to_the_node_that_has_it(at: At) -> None:
    edge = at("edge", EDGE)
    assert addresses.internal_url(edge, "manager", "api") == "http://10.77.0.1:8081"
    assert addresses.internal_url(edge, "gateway", "graphql") == "http://127.0.0.1:4000"
    assert addresses.public_url(edge, "webserver", "http") == "https://ai.example.org:8090"
    mgmt = at("mgmt")
    assert addresses.internal_url(mgmt, "manager", "api") == "http://127.0.0.1:8081"
    assert (
        addresses.public_url(mgmt, "storage-proxy", "client", "store") == "https://10.77.0.2:6021"
    )


def test_settings_name_every_storage_proxy(at: At) -> None:
    ctx = at("mgmt")
    for name in GENERATED:
        ctx.secrets.create(name)
    found = settings.wanted(ctx)
    assert found["config/redis/addr"] == "10.77.0.1:8110"
    assert found["volumes/default_host"] == "local:volume1"
    assert found["volumes/proxies/local/manager_api"] == "http://10.77.0.2:6022"
    assert found["volumes/proxies/gpu2/manager_api"] == "http://10.77.0.12:6022"
    assert found["volumes/proxies/gpu2/client_api"] == "https://10.77.0.12:6021"


def test_several_managers_are_all_known(at: At, templates: object) -> None:
    ctx = at("mgmt", SECOND)
    for name in ctx.facts.holders():
        ctx.secrets.create(name)
    text = render(ctx, ctx.facts.components["gateway"])
    assert '["http://10.77.0.1:8081", "http://10.77.0.3:8081"]' in text
    web = rendered(ctx, "webserver")
    assert web["api"]["endpoint"] == "http://10.77.0.1:8081,http://10.77.0.3:8081"
    assert layout.serving(ctx.site, ctx.facts, "etcd") == ["mgmt"]


def test_every_worker_of_the_app_proxy_has_a_name_of_its_own(at: At, templates: object) -> None:
    """The coordinator knows workers by it: of one name, they would take each other's circuits."""

    def names(node: str) -> dict[str, str]:
        ctx = at(node, SECOND)
        for name in GENERATED:
            ctx.secrets.create(name)
        return {
            worker: rendered(ctx, worker)["proxy_worker"]["authority"]
            for worker in ctx.facts.carriers()
        }

    assert names("mgmt") == {"appproxy-worker": "worker-1", "appproxy-tcp-worker": "tcp-worker-1"}
    assert names("mgmt2") == {
        "appproxy-worker": "worker-mgmt2",
        "appproxy-tcp-worker": "tcp-worker-mgmt2",
    }


def test_an_agents_configuration_is_its_nodes(at: At, templates: object) -> None:
    agent = rendered(at("gpu1"), "agent")
    assert agent["etcd"]["addr"] == {"host": "10.77.0.1", "port": 8120}
    assert agent["etcd"]["user"] == "backendai-agent@gpu1"
    assert agent["agent"]["rpc-listen-addr"] == {"host": "10.77.0.11", "port": 6001}
    assert agent["agent"]["initial-resource-group-name"] == "gpu"
    assert str(agent["agent"]["rpc-auth-agent-keypair"]).endswith("/agent.key_secret")
    assert agent["container"]["bind-host"] == "10.77.0.11"
    assert rendered(at("gpu2"), "storage-proxy")["storage-proxy"]["node-id"] == (
        "i-storage-proxy-gpu2"
    )


def test_units_may_talk_with_the_other_nodes(at: At) -> None:
    ctx = at("gpu1")
    text = dropins.wanted(ctx)[dropins.path(ctx.facts.components["agent"])]
    assert "IPAddressAllow=10.77.0.1\n" in text and "IPAddressAllow=10.77.0.12\n" in text


@pytest.mark.parametrize(("node", "group"), [("gpu1", "gpu"), ("gpu2", "default")])
def test_resource_groups(at: At, node: str, group: str) -> None:
    ctx = at(node)
    assert layout.group_of(ctx.site, node) == group
    assert layout.resource_groups(ctx.site, ctx.facts) == ["default", "gpu"]


def test_what_opens_folders_by_sftp_has_a_resource_group_of_its_own(facts: Facts) -> None:
    site = Site.model_validate({"agent": {"sftp": True}})
    assert layout.resource_groups(site, facts) == ["default", "sftp"]
