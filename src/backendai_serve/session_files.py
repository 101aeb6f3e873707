"""Has an agent mount into sessions what backendai-ctl keeps for them, not what its package may lose.

Upstream mounts files out of the agent's own installation: an upgrade would take them from sessions that
go on. Where backendai-ctl keeps them is in SESSION_FILES, a link; it is read once, when the agent starts,
for what a session has mounted must be one release's.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from backendai_serve.patches import part

MODULE = "ai.backend.agent.docker.agent"
SESSION_FILES = "BACKENDAI_SESSION_FILES"


def mount_kept(module: ModuleType) -> None:
    """Change where the agent of Docker finds what it mounts."""
    kept = os.environ.get(SESSION_FILES)
    context: Any = part(module, "DockerKernelCreationContext")
    part(context, "resolve_krunner_filepath")
    if kept is None:  # not a service: a command, or a test
        return
    place = Path(kept).resolve(strict=True)

    def resolve(_self: Any, filename: str) -> Path:
        return place / filename

    context.resolve_krunner_filepath = resolve


EXECUTED = {MODULE: mount_kept}
