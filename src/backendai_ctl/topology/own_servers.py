"""What is wrong with a server that the site brings along, beyond that it does not answer."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import systemd
from backendai_ctl.topology import container_engine, layout

PROPERTIES = ("ActiveState", "StatusText")
LEAST = 100_000_000  # bytes free, below which they stop writing, or soon will


def here(ctx: Context, name: str) -> bool:
    """Whether the site's own server of that name runs on this host; the container engine is one."""
    if name == container_engine.NAME:
        return ctx.here("agent") and container_engine.of(ctx.facts).own
    if name in ctx.facts.optional():
        return True
    if name not in layout.TABLES or layout.mode(ctx.site, name) != "local":
        return False
    return not ctx.node or ctx.node in layout.serving(ctx.site, ctx.facts, name)


def not_installed(ctx: Context, name: str) -> Problem | None:
    """That its package is missing, if it is."""
    server = ctx.facts.servers.get(name)
    if server and (ctx.paths.units / server.unit).exists():
        return None
    other = "a Docker of your own" if name == container_engine.NAME else _elsewhere(name)
    return Problem(
        f"backendai-{name} is not installed on this host",
        hint=f"install the package, such as by: apt install backendai-{name}; or {other}",
    )


def _elsewhere(name: str) -> str:
    return f'set mode = "external" in [{layout.TABLES[name]}] of the site file'


def trouble(ctx: Context, name: str, shown: Mapping[str, str] | None = None) -> Problem | None:
    """Why the site's own server on this host is not well, as far as it can be told from outside.

    `shown`: PROPERTIES of its unit, asked for if left out. None also where it is not ours, or not here.
    """
    if not here(ctx, name):
        return None
    if missing := not_installed(ctx, name):
        return missing
    place = ctx.paths.state / name
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST:
        return Problem(
            f"its disk is full: {free / 1e6:.0f} MB left in {place}", hint=f"free space in {place}"
        )
    if shown is None:
        shown = systemd.properties(ctx.facts.servers[name].unit, PROPERTIES)
    state = shown.get("ActiveState", "active")
    if state == "active":
        return None
    # A unit that does not run keeps the words of its last run.
    said = shown.get("StatusText", "") if state in ("activating", "reloading") else ""
    return Problem(
        f"{ctx.facts.servers[name].unit} is {state}{said and f': {said}'}",
        hint=f"see: backendai-ctl logs {name}; then run: backendai-ctl reconfigure",
    )
