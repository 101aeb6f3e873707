"""The registry is called by what every node reaches it by, and is trusted by the site's authority."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from declared import PACKAGING
from site_nodes import At, as_node, site_of

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.rendering.render import render_file
from backendai_ctl.topology import listeners, registry
from backendai_ctl.topology.addresses import service_environment


def test_of_a_single_host_it_is_on_loopback_without_tls(ctx: Context) -> None:
    assert registry.usable(ctx) and not registry.secure(ctx)
    assert registry.url(ctx) == "http://127.0.0.1:8140"


def test_all_nodes_call_it_by_the_first_that_has_one(at: At) -> None:
    assert {registry.url(at(node)) for node in ("mgmt", "store", "gpu1")} == {
        "https://10.77.0.1:8140"
    }


def test_without_its_package_there_is_none(ctx: Context) -> None:
    (ctx.paths.units / "backendai-registry.service").unlink()
    assert not registry.usable(ctx)


def test_nodes_cannot_trust_a_certificate_of_the_operators(at: At) -> None:
    ctx = at("mgmt")
    tls = ctx.site.tls.model_copy(update={"mode": "own"})
    own = replace(ctx, site=ctx.site.model_copy(update={"tls": tls}))
    assert registry.usable(ctx) and not registry.usable(own)


def test_services_of_nodes_trust_it_with_tls_off_too(at: At, ctx: Context) -> None:
    off = '[tls]\nmode = "off"\n'
    assert "SSL_CERT_FILE" in service_environment(at("mgmt", off))


def test_its_file_asks_for_a_login_and_takes_nothing(at: At, templates: Path) -> None:
    ctx = at("mgmt")
    text = render_file(ctx, "registry.json", "backendai-registry")
    assert '"readonly": {' in text and '"htpasswd"' in text
    assert '"addr": "10.77.0.1:8140"' in text
    assert "/run/credentials/backendai-registry.service/server.key" in text


def test_the_login_is_the_same_for_the_same_password(ctx: Context, templates: Path) -> None:
    ctx.secrets.create("registry-password")
    line = render_file(ctx, "registry.logins", "backendai-registry")
    assert line == render_file(ctx, "registry.logins", "backendai-registry")
    assert line.startswith("backendai:$2b$04$") and ctx.secrets.get("registry-password") not in line


def test_alone_among_nodes_it_stays_on_loopback(facts: Facts) -> None:
    """Others need it only where they have an agent or a manager."""
    ctx = as_node(facts, "one", site_of(one="10.77.0.1 all-in-one", store="10.77.0.2 storage"))
    assert registry.url(ctx) == "http://127.0.0.1:8140"
    listener = next(x for x in listeners.expected(ctx) if x.component == "registry")
    assert listener.bound == "loopback"


def test_only_what_has_tls_is_asked_by_it(at: At) -> None:
    """The storage proxy has a certificate for users; its health is on a port without TLS."""
    ctx = at("store")
    proxy = ctx.facts.components["storage-proxy"]
    assert listeners.health_url(ctx, proxy).startswith("http://10.77.0.2:")
    ctx = at("mgmt")
    found = listeners.health_url(ctx, ctx.facts.servers["registry"])
    assert found == "https://10.77.0.1:8140/"


def test_forms_have_the_image_of_the_sites_registry_set(at: At, ctx: Context) -> None:
    assert registry.default_image(ctx) == "127.0.0.1:8140/stable/python"
    assert registry.default_image(at("gpu1")) == "10.77.0.1:8140/stable/python"
    chosen = at("mgmt", '[sessions]\ndefault_image = "hub.example/lab/r:4.5"\n')
    assert registry.default_image(chosen) == "hub.example/lab/r:4.5"


def test_without_a_registry_forms_have_none_set(ctx: Context) -> None:
    (ctx.paths.units / "backendai-registry.service").unlink()
    assert registry.default_image(ctx) == ""


def test_there_is_an_image_of_that_name() -> None:
    made = (PACKAGING / "images" / registry.FIRST / "BUILD").read_text("utf-8")
    assert f'image="{registry.PROJECT}/{registry.FIRST}:' in made
