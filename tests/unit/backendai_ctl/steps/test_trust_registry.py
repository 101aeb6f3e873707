"""A node's engine trusts the site's registry, and no file of ours is left for another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_nodes import At

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
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
    assert (folder / "10.77.0.1:8140/backendai.crt").read_text() == "authority"
    assert STEP.check(ctx) == []
    STEP.undo(ctx)
    assert not folder.exists()


def test_a_file_for_an_earlier_registry_goes_and_others_stay(at: At, folder: Path) -> None:
    ctx = at("gpu1")
    ctx.paths.tls.mkdir()
    (ctx.paths.tls / "ca.crt").write_text("authority")
    old, theirs = folder / "10.0.0.1:8140/backendai.crt", folder / "hub.example/ca.crt"
    for path in (old, theirs):
        path.parent.mkdir(parents=True)
        path.touch()
    assert any(change.what == str(old) for change in STEP.check(ctx))
    STEP.apply(ctx)
    assert not old.parent.exists() and theirs.exists()


def test_a_node_without_the_authority_is_told_the_cure(at: At, folder: Path) -> None:
    with pytest.raises(Problem, match="authority is not here") as caught:
        STEP.check(at("gpu1"))
    assert "node export gpu1" in str(caught.value.hint)


def test_a_node_without_an_agent_has_no_engine_to_tell(at: At, folder: Path) -> None:
    assert STEP.check(at("store")) == []
