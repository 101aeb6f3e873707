"""create-rpc-keypair: made once, never replaced, whole whatever happens; every agent has one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tomllib
from zmq.auth.certs import load_certificate

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files
from backendai_ctl.rendering.places import CREDENTIALS
from backendai_ctl.rendering.render import render
from backendai_ctl.steps.create_rpc_keypair import CreateRpcKeypair

STEP = CreateRpcKeypair()


def pair(ctx: Context) -> tuple[Path, Path]:
    folder = ctx.paths.config / "rpc"
    return folder / "manager.key", folder / "manager.key_secret"


def test_the_pair_fits_together(ctx: Context) -> None:
    STEP.apply(ctx)
    public, secret = pair(ctx)
    assert load_certificate(public) == (load_certificate(secret)[0], None)
    assert load_certificate(secret)[1] is not None
    assert public.stat().st_mode & 0o777 == 0o644
    assert secret.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in ctx.paths.config.iterdir()) == ["rpc"]


def test_it_is_never_replaced(ctx: Context) -> None:
    STEP.apply(ctx)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in pair(ctx)]
    assert STEP.check(ctx) == []
    STEP.apply(ctx)
    STEP.undo(ctx)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in pair(ctx)] == before


@pytest.mark.parametrize("at", range(5))
def test_stopped_at_any_file_a_second_run_finishes(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    write, left = files.write, iter(range(at, -1, -1))

    def full(path: Path, *args: object, **kwargs: object) -> bool:
        if next(left, 0) == 0:
            raise Problem("disk full")
        return write(path, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", full)
        with pytest.raises(Problem, match="disk full"):
            STEP.apply(ctx)
    key = load_certificate(pair(ctx)[1]) if pair(ctx)[1].exists() else None
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    assert key in (None, load_certificate(pair(ctx)[1]))


def test_a_public_key_that_was_lost_is_made_from_the_secret_one(ctx: Context) -> None:
    STEP.apply(ctx)
    public, secret = pair(ctx)
    public.unlink()
    assert [change.what for change in STEP.check(ctx)] == [str(public)]
    STEP.apply(ctx)
    assert load_certificate(public) == (load_certificate(secret)[0], None)


def test_a_secret_key_that_was_lost_is_not_replaced_silently(ctx: Context) -> None:
    STEP.apply(ctx)
    pair(ctx)[1].unlink()
    with pytest.raises(Problem, match="key_secret is not") as caught:
        STEP.check(ctx)
    assert "backup" in caught.value.hint


def test_open_modes_are_mended(ctx: Context) -> None:
    STEP.apply(ctx)
    secret = pair(ctx)[1]
    secret.chmod(0o644)
    assert [change.how for change in STEP.check(ctx)] == ["write it with mode 600"]
    STEP.apply(ctx)
    assert secret.stat().st_mode & 0o777 == 0o600


def test_the_agent_of_a_single_host_has_a_pair_of_its_own(ctx: Context) -> None:
    STEP.apply(ctx)
    agent = ctx.paths.config / "rpc/agent.key_secret"
    public, secret = load_certificate(agent)
    assert secret is not None and public != load_certificate(pair(ctx)[0])[0]
    assert agent.stat().st_mode & 0o777 == 0o600
    before = agent.read_bytes()
    STEP.apply(ctx)
    assert agent.read_bytes() == before


def test_the_agent_of_a_single_host_obeys_its_manager_alone(ready: Context) -> None:
    agent = ready.facts.components["agent"]
    said = tomllib.loads(render(ready, agent))["agent"]
    given = CREDENTIALS / agent.unit
    assert said["rpc-auth-manager-public-key"] == str(given / "manager.key")
    assert said["rpc-auth-agent-keypair"] == str(given / "agent.key_secret")


def test_an_agent_that_comes_before_its_manager_has_what_the_manager_will_use(
    ctx: Context,
) -> None:
    alone = replace(ctx, facts=replace(ctx.facts, only=frozenset({"agent"})))
    STEP.apply(alone)
    before = [path.read_bytes() for path in pair(ctx)]
    STEP.apply(ctx)
    assert [path.read_bytes() for path in pair(ctx)] == before


def test_a_host_of_before_is_given_what_its_agent_lacks(ctx: Context) -> None:
    """A release in which an agent without nodes had no pair of its own."""
    STEP.apply(ctx)
    agent = ctx.paths.config / "rpc/agent.key_secret"
    agent.unlink()
    before = [path.read_bytes() for path in pair(ctx)]
    assert [change.what for change in STEP.check(ctx)] == [str(agent)]
    STEP.apply(ctx)
    assert [path.read_bytes() for path in pair(ctx)] == before and agent.exists()
