"""What a component says about itself on its health URL."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from backendai_ctl.platform import http
from backendai_ctl.probes.servers import reason


@dataclass(frozen=True)
class Health:
    """`ok`: it answers and says that all it needs is there. `message` tells what is not."""

    ok: bool
    message: str = ""
    version: str = ""  # that is running; empty if it does not say


LATE = Health(False, "no answer in time")


def ask(url: str, timeout: float = 2.0) -> Health:
    """Ask a component of this host; never raises for what the network or it does."""
    if not url:
        return Health(True, "has no health URL")
    try:
        status, body = http.ask(url, timeout=timeout, tls=http.unchecked())
    except (OSError, HTTPException, ValueError) as failure:
        return Health(False, reason(failure))
    return judge(status, body)


def judge(status: int, body: str) -> Health:
    """What an answer means. Status 200 alone says only that the process is there."""
    data = _object(body)
    version = str(data.get("version") or data.get("coordinator_version") or "")
    connectivity = data.get("connectivity")
    checks = connectivity if isinstance(connectivity, dict) else {}
    broken = "; ".join(
        f"{check.get('component_id', '?')}: {_first_line(check.get('error_message'))}"
        for check in checks.get("connectivity_checks", [])
        if not check.get("is_healthy")
    )
    if checks.get("overall_healthy") is False:
        return Health(False, broken or "says that it is not healthy", version)
    if status != 200:
        return Health(False, f"HTTP {status}", version)
    if data.get("manager") == "does not answer":  # the gateway's way to say it
        return Health(False, "the manager does not answer it", version)
    return Health(True, "", version)


def _object(body: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
        if isinstance(data, str):  # the app proxy worker encodes twice
            data = json.loads(data)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _first_line(text: object) -> str:
    lines = str(text or "unhealthy").strip().splitlines()
    return lines[0][:200] if lines else "unhealthy"
