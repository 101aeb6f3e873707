"""A node's engine trusts the site's registry, and no file of ours is left for another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from site_nodes import At

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.site.registries import Registry
from backendai_ctl.steps import trust_registry

STEP = trust_registry.TrustRegistry()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(trust_registry, "CERTIFICATES", tmp_path / "certs.d")
    return tmp_path / "certs.d"


def test_a_single_host_needs_nothing(ctx: Context, folder: Path) -> None:
    assert STEP.check(ctx) == []


def test_a_compute_node_trusts_the_authority_for_that_registry(at: At, folder: Path) -> None:
    ctx = at("gpu1")
    ctx.paths.tls.mkdir()
    (ctx.paths.tls / "ca.crt").write_text("authority")
    assert STEP.check(ctx)
    STEP.apply(ctx)
    made = folder / "10.77.0.1:8140/backendai.crt"
    assert made.read_text() == f"{trust_registry.OURS}authority"
    assert STEP.check(ctx) == []
    STEP.undo(ctx)
    assert not folder.exists()


def test_a_file_for_an_earlier_registry_goes_and_others_stay(at: At, folder: Path) -> None:
    ctx = at("gpu1")
    ctx.paths.tls.mkdir()
    (ctx.paths.tls / "ca.crt").write_text("authority")
    old, *theirs = (
        folder / name
        for name in ("10.0.0.1:8140/backendai.crt", "hub.example/ca.crt", "b.example/backendai.crt")
    )
    for path, text in {old: trust_registry.OURS, **dict.fromkeys(theirs, "operator's")}.items():
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert [change.what for change in STEP.check(ctx)][:-1] == [str(old)]
    STEP.apply(ctx)
    assert not old.parent.exists()
    STEP.undo(ctx)
    assert sorted(folder.rglob("*.crt")) == sorted(theirs)


def test_a_node_without_the_authority_is_told_the_cure(at: At, folder: Path) -> None:
    with pytest.raises(Problem, match="authority of a registry is not here") as caught:
        STEP.check(at("gpu1"))
    assert "node export gpu1" in str(caught.value.hint)


def test_a_node_without_an_agent_has_no_engine_to_tell(at: At, folder: Path) -> None:
    assert STEP.check(at("store")) == []


def test_an_engine_trusts_a_named_registry_by_its_own_authority(
    at: At, ctx: Context, folder: Path, tmp_path: Path
) -> None:
    """On nodes whose certificate is the operator's, too: there it is the only one."""
    (tmp_path / "harbor.crt").write_text("theirs")
    named = Registry(url="https://harbor.example", project="science", ca=tmp_path / "harbor.crt")
    trusted = Registry(url="https://hub.example", project="science")
    registries = {"harbor": named, "hub": trusted}
    node = at("gpu1")
    tls = node.site.tls.model_copy(update={"mode": "own"})
    site = node.site.model_copy(update={"registries": registries, "tls": tls})
    STEP.apply(replace(node, site=site))
    (made,) = folder.rglob("*.crt")
    assert made == folder / "harbor.example/backendai.crt"
    assert made.read_text() == f"{trust_registry.OURS}theirs"
    STEP.apply(replace(node, site=node.site.model_copy(update={"tls": tls})))
    assert not folder.exists()
