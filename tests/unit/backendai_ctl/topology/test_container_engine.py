"""Promise: a Docker of the host is the one that is used; ours only where there is none, and then for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files
from backendai_ctl.topology import container_engine, own_servers


def docker_of_the_host(facts: Facts) -> Path:
    unit = facts.paths.units / "docker.service"
    unit.touch()
    return unit


def started(facts: Facts) -> None:
    files.write(facts.paths.ready("docker"), "fingerprint\n", mode=0o600)


def test_where_there_is_none_it_is_ours(ctx: Context) -> None:
    engine = container_engine.of(ctx.facts)
    assert engine.own and engine.unit == "backendai-docker.service"
    assert own_servers.here(ctx, "docker")
    assert engine.data_root == ctx.paths.state / "docker"
    assert engine.path.startswith(str(ctx.paths.servers / "docker/bin")), (
        "podman-docker has one, too"
    )


def test_a_docker_of_the_host_is_used(ctx: Context) -> None:
    docker_of_the_host(ctx.facts)
    engine = container_engine.of(ctx.facts)
    assert not engine.own and engine.unit == "docker.service"
    assert str(engine.socket) == "/run/docker.sock" and engine.path.startswith("/usr/")
    assert not own_servers.here(ctx, "docker")


def test_once_ours_runs_a_docker_that_comes_later_changes_nothing(ctx: Context) -> None:
    started(ctx.facts)
    docker_of_the_host(ctx.facts)
    assert container_engine.of(ctx.facts).own
    (ctx.paths.units / "backendai-docker.service").unlink()
    assert not container_engine.of(ctx.facts).own, "until the package is removed"


def test_one_that_its_administrator_masked_is_none(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_engine.units, "FOLDER", tmp_path)
    docker_of_the_host(ctx.facts)
    (tmp_path / "docker.service").symlink_to("/dev/null")
    assert container_engine.of(ctx.facts).own
    (tmp_path / "docker.service").unlink()
    (tmp_path / "docker.service").touch()
    assert not container_engine.of(ctx.facts).own


def test_one_that_is_missing_altogether_is_named(ctx: Context) -> None:
    (ctx.paths.units / "backendai-docker.service").unlink()
    found = own_servers.not_installed(ctx, "docker")
    assert found and "apt install backendai-docker; or a Docker of your own" in found.hint


@pytest.mark.parametrize("text", ["", "[]", "no JSON"])
def test_settings_that_say_nothing_are_none(ctx: Context, text: str) -> None:
    engine = container_engine.of(ctx.facts)
    engine.settings.write_text(text)
    assert engine.configured() == {}
    engine.settings.write_text('{"data-root": "/srv/docker"}')
    assert engine.data_root == Path("/srv/docker")


def test_an_agent_uses_it_by_a_group_that_the_host_has(ctx: Context, host_accounts: object) -> None:
    docker_of_the_host(ctx.facts)
    assert not container_engine.of(ctx.facts).open_to_agent
    host_accounts.set([], ["docker:x:990:"])  # type: ignore[attr-defined]
    assert container_engine.of(ctx.facts).open_to_agent
