"""Checks of the servers that the site does without, and whether its Prometheus gets what it asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.platform import http, systemd
from backendai_ctl.probes import health, servers
from backendai_ctl.result import Result, fail, ok, skip, warn, worst
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
    told = _ask(ctx, SILENT)
    if isinstance(told, Result):
        return told
    silent = [_name(row["metric"]) for row in told["result"]]
    if silent:
        return warn(f"none of {', '.join(sorted(silent))}", "see there: backendai-ctl status")
    return ok(f"of {len(metrics.targets(ctx))} places")


def alerts(ctx: Context) -> Result:
    """What the Prometheus of this host warns of for some time already."""
    told = _ask(ctx, "/api/v1/alerts")
    if isinstance(told, Result):
        return told
    firing = [one for one in told["alerts"] if one["state"] == "firing"]
    return worst((_alert(**one) for one in firing), fine="none")


def _alert(labels: dict[str, str], annotations: dict[str, str], **_more: str) -> Result:
    """A rule of the operator's own may say less than ours do."""
    message = annotations.get("summary") or labels["alertname"]
    kind = fail if labels.get("severity") == "critical" else warn
    return kind(message, annotations.get("hint", ""))


def _ask(ctx: Context, what: str) -> dict[str, Any] | Result:
    """`data` of an answer of Prometheus; a Result, if there is none."""
    asked = ctx.facts.servers[layout.METRICS]
    url = listeners.metrics_url(ctx, asked).removesuffix("/metrics") + what
    try:
        status, body = http.ask(url, timeout=TIMEOUT)
    except (OSError, HTTPException) as failure:
        return skip(f"{layout.METRICS}: {servers.reason(failure)}")
    if status != 200:
        return fail(f"{layout.METRICS}: HTTP {status}", f"see: backendai-ctl logs {layout.METRICS}")
    data: dict[str, Any] = json.loads(body)["data"]
    return data


def _name(labels: dict[str, str]) -> str:
    node = f" on {labels['node']}" if "node" in labels else ""
    return f"{labels.get('job')}{node} ({labels.get('instance')})"
