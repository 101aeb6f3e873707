"""Promise: doctor says what a Docker of the host lacks, with the lines to add, and is content with ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shipped

from backendai_ctl.checks import docker
from backendai_ctl.context import Context
from backendai_ctl.rendering import render
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import container_engine
from backendai_ctl.topology.container_engine import Engine

OURS = {
    "ServerVersion": "26.1.5",
    "Driver": "overlay2",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "LiveRestoreEnabled": True,
    "LoggingDriver": "json-file",
}
ICC = "com.docker.network.bridge.enable_icc"
CHECKS = (
    docker.server,
    docker.storage,
    docker.control_groups,
    docker.restarts,
    docker.sessions,
    docker.logs,
)


def answers(monkeypatch: pytest.MonkeyPatch, *, icc: str = "false", **info: Any) -> None:
    def ask(_socket: Path, what: str, **_given: Any) -> dict[str, Any]:
        return {"info": {**OURS, **info}, "networks/bridge": {"Options": {ICC: icc}}}[what]

    monkeypatch.setattr(container_engine, "ask", ask)


def settle(ctx: Context) -> dict[str, Any]:
    """Write the settings of our engine as the step does; what is in them."""
    if not (ctx.paths.share / "templates").exists():
        shipped.templates(ctx.paths.share)
    text = render.render_file(ctx, "docker.json", "backendai-docker")
    container_engine.of(ctx.facts).settings.write_text(text)
    made: dict[str, Any] = json.loads(text)
    return made


def test_ours_is_as_it_should_be(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    made = settle(ctx)
    assert made["live-restore"] is True and made["icc"] is False and made["log-opts"]["max-size"]
    assert made["hosts"] == ["unix:///run/backendai-docker/docker.sock"]
    assert made["group"] == "backendai-docker" and "bip" not in made
    answers(monkeypatch)
    assert [check(ctx).level for check in CHECKS] == ["ok"] * len(CHECKS)


def test_the_site_file_has_a_say_in_ours(ctx: Context) -> None:
    wanted = {"bridge": "10.5.0.1", "docker": {"insecure-registries": ["registry.test:5000"]}}
    made = settle(Context(ctx.facts, Site.model_validate({"agent": wanted})))
    assert made["bip"] == "10.5.0.1/16" and made["insecure-registries"] == ["registry.test:5000"]


@pytest.mark.parametrize(
    ("look", "info", "line"),
    [
        (docker.restarts, {"LiveRestoreEnabled": False}, '"live-restore": true'),
        (docker.logs, {}, '"log-opts": {"max-size": "20m", "max-file": "5"}'),
        (docker.control_groups, {"CgroupDriver": "cgroupfs"}, '"native.cgroupdriver=systemd"'),
        (docker.sessions, {"icc": "true"}, '"icc": false'),
    ],
)
def test_what_the_hosts_own_lacks_is_told_with_the_lines_to_add(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, look: Any, info: dict[str, Any], line: str
) -> None:
    (ctx.paths.units / "docker.service").touch()
    monkeypatch.setattr(Engine, "configured", lambda _self: {})
    answers(monkeypatch, **info)
    found = look(ctx)
    assert found.level == "warn"
    assert line in found.hint and "add to /etc/docker/daemon.json" in found.hint


def test_logs_that_are_limited_are_fine(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (ctx.paths.units / "docker.service").touch()
    limited = {"log-opts": {"max-size": "1m"}}
    monkeypatch.setattr(Engine, "configured", lambda _self: limited)
    answers(monkeypatch)
    assert docker.logs(ctx).level == "ok"
    monkeypatch.setattr(Engine, "configured", lambda _self: {})
    answers(monkeypatch, LoggingDriver="journald")
    assert docker.logs(ctx).level == "ok"


def test_one_that_is_too_old_or_closed_to_the_agent_is_refused(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, ServerVersion="19.03.15")
    assert docker.server(ctx).level == "fail"
    (ctx.paths.units / "docker.service").touch()
    answers(monkeypatch, ServerVersion="20.10.24")
    found = docker.server(ctx)
    assert found.level == "fail" and "groupadd" in found.hint
