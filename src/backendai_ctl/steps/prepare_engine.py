"""Run the container engine that the site brings along, where the host has no Docker of its own."""

from __future__ import annotations

from backendai_ctl import container_engine
from backendai_ctl.steps.serving import Serve

STEP = Serve(
    container_engine.NAME, "prepare-engine", "Set up the container engine", needs=("create-user",)
)
