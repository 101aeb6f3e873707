"""What the shipped templates become."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomllib

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.rendering.render import _agent_id, base_path, render, toml, with_config
from backendai_ctl.site.schema import (
    Cache,
    Database,
    Etcd,
    Network,
    Site,
    SiteTable,
    Storage,
    Tls,
    Volume,
)
from backendai_ctl.site.sessions import Sessions
from backendai_ctl.steps import create_secrets


def rendered(ctx: Context) -> dict[str, Any]:
    made = {}
    for component in with_config(ctx):
        text = render(ctx, component)
        loads = json.loads if component.config.endswith(".json") else tomllib.loads
        made[component.name] = loads(text)
    return made


@pytest.fixture
def ready(ready: Context) -> Context:
    """Such a host, with what no role brings."""
    for component in ready.facts.components.values():
        (ready.paths.units / component.unit).touch()
    create_secrets.CreateSecrets().apply(ready)
    return ready


def test_every_service_gets_a_file(ready: Context) -> None:
    assert set(rendered(ready)) == {name for name, c in ready.facts.components.items() if c.config}


def test_secrets_agree_between_services(ready: Context) -> None:
    made, get = rendered(ready), ready.secrets.get
    assert made["manager"]["db"]["password"] == get("database-manager")
    for name in ("manager", "agent", "storage-proxy"):
        login = {key: made[name]["etcd"][key] for key in ("user", "password")}
        assert login == {"user": f"backendai-{name}", "password": get(f"etcd-{name}")}
    assert made["storage-proxy"]["api"]["manager"]["secret"] == get("storage-manager")
    assert made["manager"]["volumes"]["proxies"] == {"local": {"secret": get("storage-manager")}}
    assert made["webserver"]["session"]["redis"]["password"] == get("cache-webserver")
    coordinator, worker = made["appproxy-coordinator"], made["appproxy-worker"]
    assert coordinator["secrets"] == worker["secrets"]
    assert coordinator["permit_hash"] == worker["permit_hash"]
    assert coordinator["redis"] == worker["redis"]


def test_the_app_proxy_has_a_worker_for_each_protocol(ready: Context) -> None:
    """Each at its own ports, as the firewall has them; the same otherwise."""
    made = rendered(ready)
    web, tcp = made["appproxy-worker"], made["appproxy-tcp-worker"]
    assert (web["proxy_worker"]["protocol"], tcp["proxy_worker"]["protocol"]) == ("http", "tcp")
    assert tcp["proxy_worker"]["accepted_traffics"] == ["interactive"]
    assert tcp["proxy_worker"]["api_bind_addr"] == {"host": "127.0.0.1", "port": 10202}
    assert "backendai-appproxy-tcp-worker.service" in tcp["proxy_worker"]["tls_cert"]
    for name in ready.facts.carriers():
        (opened,) = ready.facts.components[name].opens.values()
        ports = made[name]["proxy_worker"]["port_proxy"]["bind_port_range"]
        assert ports == list(opened[:2])
    assert {key: tcp[key] for key in tcp if key != "proxy_worker"} == {
        key: web[key] for key in web if key != "proxy_worker"
    }


def test_an_agent_opens_folders_by_sftp_where_the_site_says_so(ready: Context) -> None:
    """By a second agent in its process, with ports, a name and a resource group of its own."""
    alone = rendered(ready)["agent"]
    assert "agents" not in alone and alone["container"]["port-range"] == [30000, 31000]
    site = Site.model_validate({"agent": {"sftp": True}})
    made = rendered(replace(ready, site=site))["agent"]
    computing, opening = made["agents"]
    assert computing == {"agent": {"id": made["agent"]["id"]}}
    assert opening["agent"]["id"] == f"{made['agent']['id']}-sftp"
    assert opening["agent"]["initial-resource-group-name"] == "sftp"
    assert opening["agent"]["agent-sock-port"] != made["agent"]["agent-sock-port"]
    assert made["container"]["port-range"] == [30000, 30900]
    assert opening["container"]["port-range"] == [30901, 31000]


def test_no_service_gets_a_secret_that_is_not_its_own(ready: Context) -> None:
    texts = {c.name: render(ready, c) for c in with_config(ready)}
    holders = {
        name: {c for c, text in texts.items() if ready.secrets.get(name) in text}
        for name in ready.facts.holders()
    }
    proxies = {"appproxy-coordinator", *ready.facts.carriers()}
    assert {name: found for name, found in holders.items() if found} == {
        "appproxy-api": proxies,
        "appproxy-jwt": proxies,
        "appproxy-permit": proxies,
        "cache-password": proxies,
        "cache-webserver": {"webserver"},
        "database-account-manager": {"account-manager"},
        "database-coordinator": {"appproxy-coordinator"},
        "database-manager": {"manager"},
        "etcd-account-manager": {"account-manager"},
        "etcd-agent": {"agent"},
        "etcd-manager": {"manager"},
        "etcd-storage-proxy": {"storage-proxy"},
        "storage-manager": {"manager", "storage-proxy"},
        "storage-token": {"storage-proxy"},
    }


def test_nothing_listens_beyond_loopback_by_default(ready: Context) -> None:
    assert "0.0.0.0" not in "".join(render(ready, c) for c in with_config(ready))
    made = rendered(ready)
    assert made["webserver"]["service"]["ip"] == "127.0.0.1"
    assert made["agent"]["agent"]["metadata-server-bind-host"] == "172.17.0.1"


def test_with_tls_users_meet_https_alone(ready: Context) -> None:
    made = rendered(ready)
    folder = "/run/credentials/backendai-webserver.service"
    service = made["webserver"]["service"]
    assert service["ssl_enabled"] is True
    assert service["ssl_cert"] == f"{folder}/server.crt"
    assert service["ssl_privkey"] == f"{folder}/server.key"
    assert service["wsproxy"]["url"] == "https://localhost:10200"
    assert made["webserver"]["security"]["cookie_secure"] is True
    assert made["storage-proxy"]["api"]["client"]["ssl-enabled"] is True
    assert made["appproxy-coordinator"]["proxy_coordinator"]["tls_listen"] is True
    worker = made["appproxy-worker"]["proxy_worker"]
    assert worker["tls_listen"] is True
    assert worker["coordinator_endpoint"] == "https://127.0.0.1:10200"


def test_plain_http_on_request(ready: Context) -> None:
    made = rendered(replace(ready, site=Site(tls=Tls(mode="off"))))
    assert made["webserver"]["service"]["ssl_enabled"] is False
    assert made["webserver"]["security"]["cookie_secure"] is False
    assert made["storage-proxy"]["api"]["client"]["ssl-enabled"] is False
    worker = made["appproxy-worker"]["proxy_worker"]
    assert worker["coordinator_endpoint"] == "http://127.0.0.1:10200"


def test_the_site_file_is_followed(ready: Context, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text('q"u\\ote\n')
    password.chmod(0o600)
    site = Site(
        site=SiteTable(name='The "Lab"', address="ai.example.org"),
        network=Network(listen="10.0.0.5", allow=["10.0.0.0/8"], ports={"manager": {"api": 9000}}),
        storage=Storage(volumes={"a": Volume(), "b": Volume(path=Path("/data/b"))}),
        etcd=Etcd(mode="external", endpoints=["e1:2379", "10.0.0.9:2380"], password_file=password),
        database=Database.model_validate(
            {
                "mode": "external",
                "endpoints": ["d1:5432", "[::1]:5433"],
                "manager": {"password_file": str(password)},
            }
        ),
        cache=Cache.model_validate(
            {
                "mode": "external",
                "password_file": str(password),
                "sentinel": {"service": "m", "nodes": ["s1:26379", "s2:26379"]},
            }
        ),
    )
    made = rendered(replace(ready, site=site))
    assert made["manager"]["manager"]["service-addr"] == {"host": "127.0.0.1", "port": 9000}
    assert made["manager"]["db"]["addrs"] == [
        {"host": "d1", "port": 5432},
        {"host": "::1", "port": 5433},
    ]
    assert made["gateway"]["managers"] == ["http://127.0.0.1:9000"]
    assert made["webserver"]["api"]["text"] == 'The "Lab"'
    assert made["webserver"]["service"]["ip"] == "10.0.0.5"
    assert made["agent"]["etcd"]["addr"] == [
        {"host": "e1", "port": 2379},
        {"host": "10.0.0.9", "port": 2380},
    ]
    assert made["agent"]["etcd"]["password"] == 'q"u\\ote'
    assert made["storage-proxy"]["volume"] == {
        "a": {"backend": "vfs", "path": str(ready.paths.volumes / "a")},
        "b": {"backend": "vfs", "path": "/data/b"},
    }
    redis = made["webserver"]["session"]["redis"]
    assert redis["addr"] == "127.0.0.1:16379"  # the TLS proxy asks the sentinels
    assert made["appproxy-worker"]["redis"]["addr"] == {"host": "127.0.0.1", "port": 16379}
    assert made["appproxy-worker"]["proxy_worker"]["api_advertised_addr"]["host"] == (
        "ai.example.org"
    )


@pytest.mark.parametrize("said", [None, "0", "12h"])
def test_unused_sessions_end_where_the_site_file_says_so(ready: Context, said: str | None) -> None:
    made = rendered(replace(ready, site=Site(sessions=Sessions(idle_timeout=said))))
    checks = {"enabled": "network_timeout", "checkers": {"network_timeout": {"threshold": said}}}
    assert made["manager"].get("idle") == (checks if said == "12h" else None)


def test_etcd_without_login(ready: Context) -> None:
    made = rendered(replace(ready, site=Site(etcd=Etcd(user=None))))
    assert set(made["manager"]["etcd"]) == {"namespace", "addr"}


def test_a_wrong_template_is_told_with_its_file(ready: Context) -> None:
    (ready.paths.share / "templates/gateway.json.j2").write_text("{{ nothing }}")
    with pytest.raises(Problem, match=r"gateway\.json\.j2: UndefinedError") as caught:
        render(ready, ready.facts.components["gateway"])
    assert "--reinstall backendai-gateway" in caught.value.hint


def test_values_are_quoted() -> None:
    value = 'a"b\\c\n\x7f\tä'
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}
    assert toml([1, True, Path("/p")]) == '[1, true, "/p"]'
    with pytest.raises(TypeError):
        toml(None)


def test_an_agent_is_known_by_its_nodes_name_or_first_host_name_for_good(
    ready: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "first")
    assert _agent_id(ready) == "i-first"
    assert _agent_id(replace(ready, node="gpu1")) == "i-gpu1"
    made = base_path(ready, ready.facts.components["agent"])
    made.parent.mkdir(parents=True)
    made.write_text('[agent]\nid = "i-first"\n')
    monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
    assert _agent_id(ready) == _agent_id(replace(ready, node="gpu1")) == "i-first"


def test_an_agent_of_a_release_that_followed_the_hosts_name_keeps_that(
    ready: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host7")
    made = base_path(ready, ready.facts.components["agent"])
    made.parent.mkdir(parents=True)
    made.write_text('[agent]\nmode = "docker"\n')
    assert _agent_id(replace(ready, node="gpu1")) == "i-host7"


def test_the_web_ui_offers_what_a_closed_site_has_and_nothing_else(ready: Context) -> None:
    made = rendered(ready)["webserver"]
    assert made["environments"]["show_non_installed_images"] is True
    told = made["ui"]
    assert told["default_environment"] == "127.0.0.1:8140/stable/python"
    assert told["default_import_environment"] == told["default_environment"]
    assert told["menu_blocklist"] == "pipeline,my-environment,branding,information"
    assert told["menu_inactivelist"] == "import"
