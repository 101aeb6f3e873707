"""Paths that configuration files name."""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.facts import Component

CREDENTIALS = Path("/run/credentials")  # systemd.exec(5); the path is the same in every unit


def credential(service: Component, name: str) -> Path:
    """Where a service finds what its unit is given under that name."""
    return CREDENTIALS / service.unit / name
