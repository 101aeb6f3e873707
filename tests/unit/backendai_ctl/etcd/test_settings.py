"""What is shipped for etcd follows the site file."""

from __future__ import annotations

from pathlib import Path

import pytest
from declared import GENERATED

from backendai_ctl.context import Context
from backendai_ctl.etcd import settings
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import (
    Cache,
    Network,
    Sentinel,
    Site,
    SiteTable,
    Storage,
    Tls,
    Volume,
)


def wanted(facts: Facts, site: Site) -> dict[str, str]:
    ctx = Context(facts, site)
    for name in GENERATED:
        ctx.secrets.create(name)
    return settings.wanted(ctx)


def test_a_single_host(facts: Facts) -> None:
    found = wanted(facts, Site())
    secrets = Context(facts, Site()).secrets
    assert found == {
        "config/network/inter-container/default-driver": "vxlan",
        "config/plugins/network_manager/vxlan/network": "198.18.0.0/16",
        "config/redis/addr": "127.0.0.1:8110",
        "config/redis/password": secrets.get("cache-password"),
        "volumes/_types/group": "",
        "volumes/_types/user": "",
        "volumes/default_host": "local:volume1",
        "volumes/exposed_volume_info": "percentage",
        "volumes/proxies/local/client_api": "https://localhost:6021",
        "volumes/proxies/local/manager_api": "http://127.0.0.1:6022",
        "volumes/proxies/local/ssl_verify": "true",
    }


def test_the_web_ui_knows_where_folders_open_by_sftp(facts: Facts) -> None:
    site = Site.model_validate({"agent": {"sftp": True}})
    more = wanted(facts, site).items() - wanted(facts, Site()).items()
    assert more == {("volumes/proxies/local/sftp_scaling_groups", "sftp")}


def test_browsers_get_the_address_and_the_port_of_the_site(facts: Facts) -> None:
    site = Site(
        site=SiteTable(address="2001:db8::7"),
        network=Network(ports={"storage-proxy": {"client": 7021, "manager": 7022}}),
        tls=Tls(mode="off"),
        storage=Storage(proxy="nas", volumes={"a": Volume(), "b": Volume()}, default="b"),
    )
    found = wanted(facts, site)
    assert found["volumes/proxies/nas/client_api"] == "http://[2001:db8::7]:7021"
    assert found["volumes/proxies/nas/manager_api"] == "http://127.0.0.1:7022"
    assert found["volumes/default_host"] == "nas:b"


@pytest.mark.parametrize("sentinel", [False, True])
def test_a_cache_of_yours(facts: Facts, tmp_path: Path, sentinel: bool) -> None:
    password = tmp_path / "password"
    password.write_text("theirs\n")
    password.chmod(0o600)
    nodes = Sentinel(service="mine", nodes=["a:26379", "b:26379"]) if sentinel else None
    cache = Cache(mode="external", host="2001:db8::9", password_file=password, sentinel=nodes)
    found = wanted(facts, Site(cache=cache))
    redis = {k.rsplit("/")[-1]: v for k, v in found.items() if k.startswith("config/redis/")}
    assert redis == (
        {"addr": "127.0.0.1:16379", "password": "theirs"}
        if sentinel
        else {"addr": "[2001:db8::9]:6379", "password": "theirs"}
    )
