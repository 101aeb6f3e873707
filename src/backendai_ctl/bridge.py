"""The containers' bridge: where sessions ask the agent of this host for their metadata.

Docker gives it an address when it starts: that of `bip` in daemon.json, else one of its own choice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backendai_ctl.nodes.here import interfaces
from backendai_ctl.site.schema import Site
from backendai_ctl.system import files

DAEMON = Path("/etc/docker/daemon.json")
USUAL = "172.17.0.1"
_NAME = "docker0"


def address(site: Site) -> str:
    """That of the site file; else what the bridge has, will have, or usually has."""
    return site.agent.bridge or found() or configured() or USUAL


def found() -> str:
    """What the bridge has now; empty if there is none yet."""
    name = str(_settings().get("bridge") or _NAME)
    return dict(interfaces()).get(name, "")


def configured() -> str:
    """What Docker will give it, as its administrator wants; empty if that is left to Docker."""
    return str(_settings().get("bip") or "").partition("/")[0]


def _settings() -> dict[str, Any]:
    try:
        data = json.loads(files.read(DAEMON) or "{}")
    except ValueError:
        return {}  # Docker does not start by it either, and says why
    return data if isinstance(data, dict) else {}
