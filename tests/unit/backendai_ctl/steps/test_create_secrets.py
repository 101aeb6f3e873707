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
OF_SERVICES = {f"etcd-{name}" for name in ("agent", "manager", "storage-proxy")}
THREE = {
    "first": "10.77.0.1 management",
    "second": "10.77.0.2 management",
    "other": "10.77.0.3 storage compute",
}


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
        *("cache-password", "cache-root-password", "cache-manager", "cache-webserver"),
        *OF_SERVICES,
        "etcd-root-password",
        "etcd-token",
    }


def test_a_node_has_the_secrets_of_its_components(ctx: Context) -> None:
    found = set(needed(only(ctx, "agent")))
    of_servers = {"cache-root-password", "etcd-root-password", "etcd-token"}
    its = {"cache-password", "etcd-agent", *of_servers}
    assert found == {*its, "registry-password"}
    (ctx.paths.units / "backendai-registry.service").unlink()
    assert set(needed(only(ctx, "agent"))) == its


def test_no_secret_is_told(ctx: Context) -> None:
    told = str(STEP.check(ctx))
    STEP.apply(ctx)
    assert not any(ctx.secrets.get(name) in told for name in GENERATED)


def test_a_node_of_a_release_before_goes_on_without_the_registrys(facts: Facts) -> None:
    """Its file was made when there was no such secret; only the registry waits for another."""
    ctx = as_node(facts, "second", site_of(**THREE))
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


def test_the_first_node_makes_a_login_of_its_own_for_each_service_of_each_other(
    facts: Facts,
) -> None:
    ctx = as_node(facts, "first", site_of(**THREE))
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    made = ctx.paths.secrets / "nodes"
    found = {f"{path.parent.name} {path.name}": path.read_text() for path in made.glob("*/*")}
    assert found.keys() == {"second etcd-manager", "other etcd-agent", "other etcd-storage-proxy"}
    assert len({*found.values(), ctx.secrets.get("etcd-manager")}) == len(found) + 1
    assert {path.stat().st_mode & 0o777 for path in made.glob("*/*")} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (made, *made.iterdir())} == {0o700}


def test_a_node_that_is_none_any_more_leaves_no_login(facts: Facts) -> None:
    """Named again, it is given others: what lay on its disk opens nothing."""
    STEP.apply(as_node(facts, "first", site_of(**THREE)))
    fewer = {**THREE, "another": THREE["other"].replace("0.3", "0.4")}
    del fewer["other"]
    ctx = as_node(facts, "first", site_of(**fewer))
    gone = ctx.paths.secrets / "nodes/other"
    assert str(gone) in [change.what for change in STEP.check(ctx)]
    STEP.apply(ctx)
    assert STEP.check(ctx) == [] and not gone.exists()
