"""Checks of Docker, where an agent runs sessions with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.probes import servers
from backendai_ctl.result import Result, fail, ok, skip, warn
from backendai_ctl.topology import container_engine
from backendai_ctl.topology.container_engine import LOG_LIMITS, OLDEST, Engine
from backendai_ctl.topology.own_servers import not_installed

NO_AGENT = "no agent on this host"
RESTART = "systemctl restart docker, while there are no sessions"
_ICC = "com.docker.network.bridge.enable_icc"


def server(ctx: Context) -> Result:
    if not ctx.here("agent"):
        return skip(NO_AGENT)
    engine = container_engine.of(ctx.facts)
    if engine.own and (missing := not_installed(ctx, container_engine.NAME)):
        return fail(missing.message, missing.hint)
    try:
        info = _info(engine)
    except (OSError, HTTPException, ValueError) as failure:
        hint = f"run: systemctl start {engine.unit}; journalctl -u {engine.unit}"
        return fail(f"{engine.socket}: {servers.reason(failure)}", hint)
    version = str(info.get("ServerVersion", "?"))
    digits = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if digits < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return fail(f"Docker {version}", f"install {oldest} or newer, such as backendai-docker")
    if not engine.open_to_agent:
        hint = f"run: groupadd --system {engine.group}; systemctl restart docker.socket docker"
        return fail(f"no group {engine.group}: {engine.socket} is root's alone", hint)
    return ok(f"Docker {version}, {'of backendai-docker' if engine.own else 'of this host'}")


def storage(ctx: Context) -> Result:
    def judge(engine: Engine, info: dict[str, Any]) -> Result:
        driver = str(info.get("Driver"))
        if driver in ("overlay2", "overlayfs", "btrfs", "zfs"):
            return ok(driver)
        where = engine.data_root
        return warn(driver, f"put {where} on ext4 or xfs, so that Docker can use overlay2")

    return _judged(ctx, judge)


def control_groups(ctx: Context) -> Result:
    def judge(engine: Engine, info: dict[str, Any]) -> Result:
        saw = f"{info.get('CgroupDriver')}, version {info.get('CgroupVersion', '1')}"
        if info.get("CgroupDriver") == "systemd":
            return ok(saw)
        return warn(saw, _add(engine, {"exec-opts": ["native.cgroupdriver=systemd"]}))

    return _judged(ctx, judge)


def restarts(ctx: Context) -> Result:
    def judge(engine: Engine, info: dict[str, Any]) -> Result:
        if info.get("LiveRestoreEnabled"):
            return ok("containers live on without it")
        hint = _add(engine, {"live-restore": True}, "systemctl reload docker")
        return warn("its restart ends all sessions", hint)

    return _judged(ctx, judge)


def sessions(ctx: Context) -> Result:
    """Whether a session reaches others on the bridge that they share; apps there ask for no login."""

    def judge(engine: Engine, _info: dict[str, Any]) -> Result:
        bridge = container_engine.ask(engine.socket, "networks/bridge", timeout=5)
        if (bridge.get("Options") or {}).get(_ICC) == "false":
            return ok("none reaches another")
        found = "a session reaches all others of this host, and what runs in them"
        return warn(found, _add(engine, {"icc": False}))

    return _judged(ctx, judge)


def logs(ctx: Context) -> Result:
    def judge(engine: Engine, info: dict[str, Any]) -> Result:
        driver = str(info.get("LoggingDriver"))
        if driver != "json-file":  # which alone writes files that grow for ever
            return ok(driver)
        options = engine.configured().get("log-opts")
        if isinstance(options, dict) and options.get("max-size"):
            return ok(f"{driver}, files of {options['max-size']} at most")
        return warn("logs of containers grow without limit", _add(engine, {"log-opts": LOG_LIMITS}))

    return _judged(ctx, judge)


def command(ctx: Context) -> Result:
    if not ctx.here("agent"):
        return skip(NO_AGENT)
    if found := container_engine.of(ctx.facts).command:
        return ok(found)
    return fail("there is no docker command", "run: apt install docker-cli, or backendai-docker")


def _add(engine: Engine, settings: dict[str, Any], then: str = RESTART) -> str:
    """What the operator adds to its settings, word for word; those of ours are the site file's."""
    if engine.own:
        left_out = ", ".join(settings)
        return f"leave {left_out} out of [agent.docker], then run: backendai-ctl reconfigure"
    inside = json.dumps(settings)[1:-1]
    return f"add to {engine.settings}: {inside}; then run: {then}"


def _judged(ctx: Context, judge: Callable[[Engine, dict[str, Any]], Result]) -> Result:
    """What is to say of what Docker tells of itself."""
    if not ctx.here("agent"):
        return skip(NO_AGENT)
    engine = container_engine.of(ctx.facts)
    try:
        return judge(engine, _info(engine))
    except (OSError, HTTPException, ValueError):
        return skip("Docker does not answer")


def _info(engine: Engine) -> dict[str, Any]:
    data: dict[str, Any] = container_engine.ask(engine.socket, "info", timeout=5)
    return data
