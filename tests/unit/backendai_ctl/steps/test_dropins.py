"""Drop-ins: only what the site file changes about a unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Agent, Database, Network, Site, Storage, Tls, Volume
from backendai_ctl.steps import dropins
from backendai_ctl.system import files


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dropins, "FOLDER", tmp_path / "system")
    return tmp_path / "system"


def texts(facts: Facts, site: Site) -> dict[str, str]:
    wanted = dropins.wanted(Context(facts, site))
    return {path.parent.name.partition(".")[0]: text for path, text in wanted.items() if text}


PLAIN = Tls(mode="off")


def test_without_tls_only_the_containers_bridge_and_plain_sql_are_said(facts: Facts) -> None:
    assert set(texts(facts, Site(tls=PLAIN)).values()) == {
        files.HEAD + "[Service]\nEnvironment=PGSSLMODE=disable\nIPAddressAllow=172.17.0.0/16\n"
    }


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
    assert "/srv/fast" not in found["backendai-manager"]


def test_they_go_with_the_site(facts: Facts, folder: Path) -> None:
    busy = Site(network=Network(ports={"manager": {"internal": 28080}}))
    (facts.paths.units / "backendai-agent.service").unlink()
    dropins.write(Context(facts, busy))
    assert len(list(folder.rglob("site.conf"))) == len(facts.components) - 1
    for component in facts.components.values():
        (facts.paths.units / component.unit).unlink(missing_ok=True)
    dropins.remove(Context(facts, Site()))
    assert list(folder.rglob("*")) == []
