"""Checks of the servers that the site does without, and whether its Prometheus gets what it asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPException

from backendai_ctl.context import Context
from backendai_ctl.platform import http, systemd
from backendai_ctl.probes import health, servers
from backendai_ctl.result import Result, fail, ok, skip, warn
from backendai_ctl.services.state import turned_off
from backendai_ctl.topology import layout, listeners, metrics, own_servers

TIMEOUT = 4.0  # seconds for an answer
SILENT = "/api/v1/query?query=up%3D%3D0"  # what told nothing when it was asked last


def server(name: str) -> Callable[[Context], Result]:
    """A check of one of these servers."""

    def look(ctx: Context) -> Result:
        found = ctx.facts.servers[name]
        if turned_off(ctx, found, systemd.properties(found.unit, ["ActiveState", "UnitFileState"])):
            return skip("off: its operator disabled it")
        said = health.ask(listeners.health_url(ctx, found), TIMEOUT)
        if said.ok:
            return ok("answers")
        if wrong := own_servers.trouble(ctx, name):
            return fail(f"{said.message}; {wrong.message}", wrong.hint)
        return fail(said.message, f"see: backendai-ctl logs {name}")

    return look


def targets(ctx: Context) -> Result:
    """Every service and host that the Prometheus of this host asks tells it its figures."""
    asked = ctx.facts.servers[layout.METRICS]
    url = listeners.metrics_url(ctx, asked).removesuffix("/metrics") + SILENT
    try:
        status, body = http.ask(url, timeout=TIMEOUT)
    except (OSError, HTTPException) as failure:
        return skip(f"{layout.METRICS}: {servers.reason(failure)}")
    if status != 200:
        return fail(f"{layout.METRICS}: HTTP {status}", f"see: backendai-ctl logs {layout.METRICS}")
    silent = [_name(row["metric"]) for row in json.loads(body)["data"]["result"]]
    if silent:
        return warn(f"none of {', '.join(sorted(silent))}", "see there: backendai-ctl status")
    return ok(f"of {len(metrics.targets(ctx))} places")


def _name(labels: dict[str, str]) -> str:
    node = f" on {labels['node']}" if "node" in labels else ""
    return f"{labels.get('job')}{node} ({labels.get('instance')})"
