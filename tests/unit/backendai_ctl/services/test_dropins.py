"""Drop-ins: only what the site file changes about a unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_nodes import as_node, site_of

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files
from backendai_ctl.services import dropins
from backendai_ctl.site.registries import Registry
from backendai_ctl.site.schema import Agent, Database, Network, Site, Storage, Tls, Volume


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dropins, "FOLDER", tmp_path / "system")
    return tmp_path / "system"


def texts(facts: Facts, site: Site) -> dict[str, str]:
    wanted = dropins.wanted(Context(facts, site))
    return {path.parent.name.partition(".")[0]: text for path, text in wanted.items() if text}


PLAIN = Tls(mode="off")


def test_without_tls_only_the_containers_bridge_and_plain_sql_are_said(facts: Facts) -> None:
    found = texts(facts, Site(tls=PLAIN))
    said = "[Service]\nEnvironment=PGSSLMODE=disable\nIPAddressAllow=172.17.0.0/16\n"
    assert said in found.pop("backendai-agent")
    for name in ("manager", "webserver"):
        user = f"Environment=BACKENDAI_CACHE_USER={name}\n"
        assert user in found[f"backendai-{name}"]
        found[f"backendai-{name}"] = found[f"backendai-{name}"].replace(user, "")
    assert set(found.values()) == {files.HEAD + said}


def test_the_agent_is_told_which_engine_is_used(facts: Facts) -> None:
    """After=, socket, PATH and group; and the host's own where it has one."""
    ours = texts(facts, Site())["backendai-agent"]
    assert "[Unit]\nWants=backendai-docker.service\nAfter=backendai-docker.service\n\n" in ours
    assert "Environment=DOCKER_HOST=unix:///run/backendai-docker/docker.sock\n" in ours
    assert f"Environment=PATH={facts.paths.servers}/docker/bin:" in ours
    assert "SupplementaryGroups=backendai-docker\n" in ours
    (facts.paths.units / "docker.service").touch()
    theirs = texts(facts, Site())["backendai-agent"]
    assert "After=docker.service\n" in theirs and "unix:///run/docker.sock\n" in theirs
    assert "SupplementaryGroups" not in theirs, "the host has no group docker"
    assert "DOCKER_HOST" not in texts(facts, Site())["backendai-manager"]


def test_the_agent_is_in_those_groups_of_a_plugins_devices_that_the_host_has(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit with a group that does not exist would not start."""
    monkeypatch.setattr(accounts, "group_exists", lambda name: name in ("video", "other"))
    folder = facts.paths.units / "backendai-agent.service.d"
    folder.mkdir()
    text = "[Service]\nDeviceAllow=char-kfd rw\nX-Groups=render video\n"
    (folder / "backendai-accelerator-rocm.conf").write_text(text)
    found = texts(facts, Site())
    assert "SupplementaryGroups=video\n" in found["backendai-agent"]
    assert "render" not in found["backendai-agent"]
    assert "video" not in found["backendai-manager"]


def test_no_bridge_without_an_agent(facts: Facts) -> None:
    (facts.paths.units / "backendai-agent.service").unlink()
    assert all("IPAddressAllow" not in text for text in texts(facts, Site()).values())


def test_with_tls_health_is_asked_by_https_and_the_sites_authority_is_trusted(facts: Facts) -> None:
    found = texts(facts, Site())
    assert "BACKENDAI_HEALTH=https://127.0.0.1:8090/health\n" in found["backendai-webserver"]
    assert all("Environment=SSL_CERT_FILE=" in text for text in found.values())
    assert "BACKENDAI_HEALTH" not in found["backendai-manager"]


def test_another_port_moves_the_health_check(facts: Facts) -> None:
    site = Site(network=Network(ports={"manager": {"internal": 28080}}))
    assert (
        "BACKENDAI_HEALTH=http://127.0.0.1:28080/health" in texts(facts, site)["backendai-manager"]
    )
    assert "BACKENDAI_HEALTH" not in texts(facts, site)["backendai-storage-proxy"]


def test_servers_and_networks_beyond_loopback_are_allowed(facts: Facts) -> None:
    site = Site(
        network=Network(listen="10.0.0.5", allow=["10.0.0.0/8"]),
        database=Database(mode="external", host="10.9.9.9"),
        agent=Agent(bridge="172.18.0.1"),
    )
    text = texts(facts, site)["backendai-manager"]
    allowed = [line.partition("=")[2] for line in text.splitlines() if "IPAddressAllow" in line]
    assert allowed == ["10.0.0.0/8", "10.9.9.9", "172.18.0.0/16"]


def test_volumes_elsewhere_become_writable_for_those_that_keep_them(facts: Facts) -> None:
    volumes = {"fast": Volume(path=Path("/srv/fast")), "inside": Volume()}
    found = texts(facts, Site(storage=Storage(volumes=volumes)))
    for name in ("backendai-agent", "backendai-storage-proxy"):
        assert "ReadWritePaths=-/srv/fast\n" in found[name]
        assert "inside" not in found[name]
    assert "ReadWritePaths" not in found["backendai-manager"]


def hidden(facts: Facts, volumes: dict[str, Volume], **site: object) -> set[str]:
    """What a service without any use for volumes does not see."""
    whole = Site.model_validate({"storage": Storage(volumes=volumes), **site})
    lines = texts(facts, whole)["backendai-gateway"].splitlines()
    return {line.partition("=-")[2] for line in lines if line.startswith("InaccessiblePaths")}


def nfs(path: str) -> Volume:
    return Volume(kind="nfs", server="nas", export=Path("/export"), path=Path(path))


def test_volumes_elsewhere_are_hidden_from_all_others(facts: Facts) -> None:
    local = {"a": Volume(path=Path("/srv/a")), "b": Volume(path=Path("/data")), "c": Volume()}
    assert hidden(facts, local) == {"/srv", "/data"}
    assert (
        "InaccessiblePaths"
        not in texts(facts, Site(storage=Storage(volumes=local)))["backendai-agent"]
    )


def test_no_mount_of_a_server_is_looked_at_to_hide_it(facts: Facts) -> None:
    assert hidden(facts, {"a": nfs("/mnt/a"), "b": nfs("/b")}) == {"/mnt"}


def test_nothing_that_services_need_is_hidden(facts: Facts, tmp_path: Path) -> None:
    beside = Volume(path=facts.paths.state.parent / "volumes")
    assert hidden(facts, {"a": beside}) == {str(beside.path)}
    assert hidden(facts, {"a": nfs("/usr/local/a")}) == set()
    (tmp_path / "ca.pem").touch()
    ca = Database(mode="external", host="db", tls="verify", ca=tmp_path / "ca.pem")
    volume = Volume(path=tmp_path / "fast")
    assert hidden(facts, {"a": volume}, database=ca) == {str(volume.path)}
    text = texts(facts, Site(database=ca))["backendai-manager"]
    assert f"BindReadOnlyPaths=-{tmp_path / 'ca.pem'}\n" in text


def test_units_and_steps_agree_on_who_uses_volumes(facts: Facts) -> None:
    components = Path(__file__).parents[4] / "packaging/components"
    declared = {
        p.parent.name for p in components.glob("*/BUILD") if 'volumes="write"' in p.read_text()
    }
    assert declared == set(facts.on_volumes())


def test_they_go_with_the_site(facts: Facts, folder: Path) -> None:
    busy = Site(network=Network(ports={"manager": {"internal": 28080}}))
    (facts.paths.units / "backendai-agent.service").unlink()
    dropins.write(Context(facts, busy))
    assert len(list(folder.rglob("site.conf"))) == len(facts.installed()) == 7
    for component in facts.components.values():
        (facts.paths.units / component.unit).unlink(missing_ok=True)
    dropins.remove(Context(facts, Site()))
    assert list(folder.rglob("*")) == []


def of_servers(ctx: Context) -> dict[str, str]:
    return {s.name: dropins.of_server(ctx, s) for s in ctx.facts.servers.values()}


def test_a_server_of_a_single_host_needs_no_drop_in(facts: Facts) -> None:
    """Whatever account the services have: a server has its own."""
    site = Site.model_validate({"user": {"name": "backend"}, "network": {"allow": ["10.0.0.0/8"]}})
    assert set(of_servers(Context(facts, site)).values()) == {""}


def test_prometheus_reaches_what_listens_for_users_on_its_own_host(facts: Facts) -> None:
    site = Site.model_validate({"network": {"listen": "192.0.2.7"}})
    found = of_servers(Context(facts, site))
    assert found["prometheus"].splitlines()[-1] == "IPAddressAllow=192.0.2.7"
    assert {text for name, text in found.items() if name != "prometheus"} == {""}


def test_a_server_on_another_port_is_asked_there(facts: Facts) -> None:
    site = Site.model_validate(
        {
            "database": {"port": 8200},
            "cache": {"port": 8210},
            "etcd": {"endpoints": ["127.0.0.1:8220"]},
            "network": {"ports": {"prometheus": {"http": 8230}}},
        }
    )
    found = of_servers(Context(facts, site))
    asked = {
        name: text.partition("BACKENDAI_HEALTH=")[2].splitlines() for name, text in found.items()
    }
    assert asked == {
        "docker": [],
        "node-exporter": [],
        "prometheus": ["http://127.0.0.1:8230/-/ready"],
        "registry": [],
        "postgresql": ["postgresql://127.0.0.1:8200/"],
        "valkey": ["redis://:valkey.password@127.0.0.1:8210/"],
        "etcd": ["http://127.0.0.1:8220/health"],
    }


NODES = site_of(mgmt="10.77.0.1 management storage", edge="edge.test edge")


def test_a_server_that_nodes_need_talks_with_nodes_alone(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with name servers: PostgreSQL and Prometheus know a node by its name, if it has one."""
    named = {"10.77.0.1": ["10.77.0.1"], "edge.test": ["10.77.0.21"], "10.0.0.53": ["10.0.0.53"]}
    monkeypatch.setattr(dropins, "_addresses", lambda host, **_: named[host])
    monkeypatch.setattr(dropins.resolv, "nameservers", lambda: ["10.0.0.53"])
    ctx = as_node(facts, "mgmt", NODES)
    allowed = {
        name: sorted(line.partition("=")[2] for line in text.splitlines() if "IPAddress" in line)
        for name, text in of_servers(ctx).items()
    }
    nodes = ["10.77.0.1", "10.77.0.21"]
    near = ["10.0.0.53", *nodes]
    none = {name: [] for name in ("etcd", "docker")}
    figures = {"prometheus": near, "node-exporter": nodes, "registry": nodes}
    assert allowed == {"postgresql": near, "valkey": near, **figures, **none}


def test_the_manager_alone_reaches_other_registries_and_trusts_them(
    facts: Facts, tmp_path: Path
) -> None:
    harbor = Registry(url="https://192.0.2.7:8443", project="science", ca=tmp_path / "harbor.crt")
    found = texts(facts, Site(registries={"harbor": harbor}))
    trusted = f"{facts.paths.tls}/registries.crt"
    manager = found.pop("backendai-manager")
    assert "IPAddressAllow=192.0.2.7\n" in manager
    assert manager.index(f"SSL_CERT_FILE={trusted}\n") > manager.index("SSL_CERT_FILE=")
    assert f"BindReadOnlyPaths=-{trusted}\n" in manager
    assert not any("192.0.2.7" in text or "registries.crt" in text for text in found.values())


def test_a_registry_that_the_host_trusts_needs_no_authority(facts: Facts) -> None:
    hub = Registry(url="https://192.0.2.7", project="science")
    manager = texts(facts, Site(registries={"hub": hub}))["backendai-manager"]
    assert "IPAddressAllow=192.0.2.7\n" in manager and "registries.crt" not in manager
