"""The administrator is told where the web UI is, and gets a new password once."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from backendai_ctl.cli import admin
from backendai_ctl.context import Context
from backendai_ctl.site.schema import Network, Site, SiteTable, Tls


@pytest.mark.parametrize(
    ("site", "url"),
    [
        (Site(), "https://localhost:8090"),
        (Site(tls=Tls(mode="off")), "http://localhost:8090"),
        (Site(site=SiteTable(address="2001:db8::1")), "https://[2001:db8::1]:8090"),
        (
            Site(network=Network(ports={"webserver": {"http": 8443}})),
            "https://localhost:8443",
        ),
    ],
)
def test_the_url_follows_the_site_file(ctx: Context, site: Site, url: str) -> None:
    assert admin.url(Context(ctx.facts, site)) == url


def test_the_endpoint_names_the_file_but_not_the_password(ctx: Context) -> None:
    ctx.secrets.create("admin-password")
    result = CliRunner().invoke(admin.command, ["show-endpoint", "--json"], obj=ctx)
    data = json.loads(result.stdout)
    assert data["password_file"] == str(ctx.secrets.path("admin-password"))
    assert ctx.secrets.get("admin-password") not in result.output


def test_a_dry_run_resets_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "need_root", lambda: None)
    monkeypatch.setattr(admin, "reset_password", lambda *_: pytest.fail("it was reset"))
    result = CliRunner().invoke(admin.command, ["reset-password", "--dry-run"], obj=ctx)
    assert result.exit_code == 0
    assert ctx.site.admin.email in result.output
