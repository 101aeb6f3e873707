"""Secrets: the right ones, once, for root alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from declared import GENERATED
from site_nodes import as_node, site_of

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Cache, Database, DatabaseOf, Etcd, Site
from backendai_ctl.steps.create_secrets import CreateSecrets
from backendai_ctl.topology.holders import needed

STEP = CreateSecrets()


def only(ctx: Context, *names: str) -> Context:
    for component in ctx.facts.components.values():
        if component.name not in names:
            (ctx.paths.units / component.unit).unlink(missing_ok=True)
    return ctx


def test_all_on_a_single_host(ctx: Context) -> None:
    assert needed(ctx) == list(GENERATED)
    assert len(STEP.check(ctx)) == len(GENERATED)
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    texts = {name: ctx.secrets.get(name) for name in GENERATED}
    assert len(set(texts.values())) == len(GENERATED)
    assert min(map(len, texts.values())) >= 43
    assert ctx.paths.secrets.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in ctx.paths.secrets.iterdir()} == {0o600}


def test_never_changed(ctx: Context) -> None:
    ctx.paths.secrets.mkdir()
    ctx.secrets.path("storage-manager").write_text("from the first node\n")
    STEP.apply(ctx)
    before = {path: path.stat().st_mtime_ns for path in ctx.paths.secrets.iterdir()}
    STEP.apply(ctx)
    STEP.undo(ctx)
    assert {path: path.stat().st_mtime_ns for path in ctx.paths.secrets.iterdir()} == before
    assert ctx.secrets.get("storage-manager") == "from the first node"


def test_what_the_operator_gives_is_not_generated(ctx: Context) -> None:
    file = Path("/p")
    site = Site(
        database=Database(mode="external", manager=DatabaseOf(password_file=file)),
        cache=Cache(mode="external", password_file=file),
        etcd=Etcd(mode="external", password_file=file),
    )
    missing = set(GENERATED) - set(needed(replace(ctx, site=site)))
    assert missing == {
        "database-manager",
        "cache-password",
        "etcd-password",
        "etcd-root-password",
        "etcd-token",
    }


def test_a_node_has_the_secrets_of_its_components(ctx: Context) -> None:
    found = set(needed(only(ctx, "agent")))
    of_servers = {"cache-password", "etcd-password", "etcd-root-password", "etcd-token"}
    assert found == {*of_servers, "registry-password"}
    (ctx.paths.units / "backendai-registry.service").unlink()
    assert set(needed(only(ctx, "agent"))) == of_servers


def test_no_secret_is_told(ctx: Context) -> None:
    told = str(STEP.check(ctx))
    STEP.apply(ctx)
    assert not any(ctx.secrets.get(name) in told for name in GENERATED)


def test_a_node_of_a_release_before_goes_on_without_the_registrys(facts: Facts) -> None:
    """Its file was made when there was no such secret; only the registry waits for another."""
    text = site_of(
        first="10.77.0.1 management",
        second="10.77.0.2 management",
        other="10.77.0.3 storage compute",
    )
    ctx = as_node(facts, "second", text)
    assert "registry-password" in needed(ctx)
    for name in needed(ctx):
        if name != "registry-password":
            ctx.secrets.create(name)
    assert STEP.check(ctx) == []
    STEP.apply(ctx)
    assert not ctx.secrets.exists("registry-password"), "it makes none"
    (ctx.secrets.path("cache-password")).unlink()
    with pytest.raises(Problem, match="cache-password: not here"):
        STEP.check(ctx)
