"""URLs follow address, ports and TLS of the site file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.site.schema import Database, Network, Site, SiteTable, Tls
from backendai_ctl.topology import addresses
from backendai_ctl.topology.addresses import internal_url, public_url, service_environment


def of(ctx: Context, mode: str = "site-ca", listen: str = "10.0.0.5") -> Context:
    site = Site(
        site=SiteTable(address="ai.example.org"),
        network=Network(listen=listen, allow=["10.0.0.0/8"], ports={"webserver": {"http": 8443}}),
        tls=Tls.model_validate({"mode": mode}),
    )
    return replace(ctx, site=site)


def test_what_users_reach_has_tls(ctx: Context) -> None:
    site = of(ctx)
    assert public_url(site, "webserver", "http") == "https://ai.example.org:8443"
    assert public_url(site, "storage-proxy", "client") == "https://ai.example.org:6021"
    assert public_url(of(ctx, "off"), "webserver", "http") == "http://ai.example.org:8443"


def test_ipv6_addresses_are_bracketed(ctx: Context) -> None:
    site = replace(ctx, site=Site(site=SiteTable(address="fd00::1")))
    assert public_url(site, "webserver", "http") == "https://[fd00::1]:8090"


def test_services_stay_on_this_host(ctx: Context) -> None:
    site = of(ctx)
    assert internal_url(site, "manager", "api") == "http://127.0.0.1:8081"
    assert internal_url(site, "appproxy-coordinator", "api") == "https://10.0.0.5:10200"
    wild = of(ctx, listen="0.0.0.0")
    assert internal_url(wild, "appproxy-coordinator", "api") == "https://127.0.0.1:10200"


def test_with_own_certificates_services_use_the_name_in_them(ctx: Context) -> None:
    own = of(ctx, "own")
    assert internal_url(own, "appproxy-coordinator", "api") == "https://ai.example.org:10200"
    assert internal_url(own, "storage-proxy", "manager") == "http://127.0.0.1:6022"


def test_environment_of_services(ctx: Context) -> None:
    assert service_environment(ctx) == {
        "PGSSLMODE": "disable",
        "SSL_CERT_FILE": str(ctx.paths.tls / "trust.crt"),
    }
    database = Database(mode="external", tls="verify", ca=Path("/etc/ssl/db.crt"))
    site = replace(ctx, site=Site(database=database, tls=Tls(mode="off")))
    assert service_environment(site) == {
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/ssl/db.crt",
    }


def test_without_an_authority_the_hosts_own_are_trusted(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.touch()
    monkeypatch.setattr(addresses, "_AUTHORITIES", (tmp_path / "absent", bundle))
    site = replace(ctx, site=Site(database=Database(mode="external", tls="verify")))
    assert service_environment(site)["PGSSLROOTCERT"] == str(bundle)
