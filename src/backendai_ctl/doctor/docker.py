"""Checks of Docker, where an agent runs sessions with it."""

from __future__ import annotations

import json
import shutil
from http.client import HTTPException
from typing import Any

from backendai_ctl import servers
from backendai_ctl.context import Context
from backendai_ctl.doctor.report import Result, fail, ok, skip, warn
from backendai_ctl.system import http

OLDEST = (20, 10)
NO_AGENT = "no agent on this host"
START = "run: systemctl start docker; journalctl -u docker"


def server(ctx: Context) -> Result:
    if not ctx.here("agent"):
        return skip(NO_AGENT)
    try:
        info = _info()
    except (OSError, HTTPException, ValueError) as failure:
        return fail(f"{servers.DOCKER}: {servers.reason(failure)}", START)
    version = str(info.get("ServerVersion", "?"))
    digits = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if digits < OLDEST:
        return fail(f"Docker {version}", "install Docker 20.10 or newer: apt install docker.io")
    return ok(f"Docker {version}")


def storage(ctx: Context) -> Result:
    info = _info_here(ctx)
    if info is None:
        return skip(NO_AGENT if not ctx.here("agent") else "Docker does not answer")
    driver = str(info.get("Driver"))
    if driver in ("overlay2", "overlayfs", "btrfs", "zfs"):
        return ok(driver)
    return warn(driver, "put /var/lib/docker on ext4 or xfs, so that Docker can use overlay2")


def control_groups(ctx: Context) -> Result:
    info = _info_here(ctx)
    if info is None:
        return skip(NO_AGENT if not ctx.here("agent") else "Docker does not answer")
    saw = f"{info.get('CgroupDriver')}, version {info.get('CgroupVersion', '1')}"
    if info.get("CgroupDriver") == "systemd":
        return ok(saw)
    return warn(saw, 'in /etc/docker/daemon.json: "exec-opts": ["native.cgroupdriver=systemd"]')


def command(ctx: Context) -> Result:
    if not ctx.here("agent"):
        return skip(NO_AGENT)
    found = shutil.which("docker", path="/usr/local/bin:/usr/bin:/bin")
    if found:
        return ok(found)
    return fail("there is no docker command", "run: apt install docker-cli")


def _info() -> dict[str, Any]:
    status, body = http.get("http://localhost/info", limit=5, local=servers.DOCKER)
    if status != 200:
        raise ConnectionError(f"HTTP {status}")
    data: dict[str, Any] = json.loads(body)
    return data


def _info_here(ctx: Context) -> dict[str, Any] | None:
    if not ctx.here("agent"):
        return None
    try:
        return _info()
    except (OSError, HTTPException, ValueError):
        return None
