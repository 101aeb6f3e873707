"""Checks of accelerators: what a plugin of the agent needs of this host before it finds any device.

Each plugin's package says so in its drop-in of the agent's unit (packaging/templates/plugin.conf.j2).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from backendai_ctl.checks.base import Check
from backendai_ctl.context import Context
from backendai_ctl.platform import files
from backendai_ctl.platform.run import run
from backendai_ctl.result import Result, fail, ok
from backendai_ctl.services import dropins

DRIVERS = Path("/proc/devices")
DEVICES = Path("/dev")
AGAIN = "then run: backendai-ctl restart agent"
_WHY = "the agent finds no device otherwise"


def checks(ctx: Context) -> list[Check]:
    """One for each plugin on this host."""
    agent = ctx.facts.components.get("agent")
    found = dropins.of_plugins(ctx, agent) if agent and ctx.here("agent") else []
    ours = [file for file in found if file.stem.startswith("backendai-")]
    return [
        Check("accelerators", file.stem.removeprefix("backendai-"), _WHY, partial(plugin, file))
        for file in ours
    ]


def plugin(file: Path, _ctx: Context) -> Result:
    """Whether driver, device nodes and libraries are there."""
    text = files.read(file) or ""
    patterns = re.findall(r"^DeviceAllow=char-(\S+)", text, re.M)
    if not patterns:
        return ok("it simulates its devices")
    majors = _majors(patterns)
    if not majors:
        return fail(
            f"no driver: {DRIVERS} has none of {', '.join(patterns)}",
            f"install the vendor's driver, {AGAIN}",
        )
    if not (count := _nodes(majors.values())):
        return fail(
            f"{', '.join(sorted(majors))}: loaded, but {DEVICES} has no node of it",
            "have the vendor's tools make them, such as by: systemctl enable --now nvidia-persistenced; "
            + AGAIN,
        )
    if absent := _absent(re.findall(r"^X-Libraries=(.*)$", text, re.M)):
        return fail(f"the host has no {', '.join(absent)}", f"install it, run: ldconfig; {AGAIN}")
    return ok(f"{', '.join(sorted(majors))}: {count} device nodes")


def _majors(patterns: Iterable[str]) -> dict[str, int]:
    """Major numbers of character devices by their drivers' names."""
    text = DRIVERS.read_text("utf-8").partition("Block devices:")[0]
    rows = re.findall(r"^\s*(\d+) (\S+)$", text, re.M)
    return {
        name: int(major)
        for major, name in rows
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _nodes(majors: Iterable[int]) -> int:
    """How many device nodes there are with one of these numbers."""
    wanted = set(majors)
    found = (Path(folder, name) for folder, _, names in os.walk(DEVICES) for name in names)
    return sum(_major(path) in wanted for path in found)


def _major(path: Path) -> int | None:
    """Of a node of a character device; None for anything else."""
    try:
        seen = path.lstat()
    except OSError:  # it went away meanwhile
        return None
    return os.major(seen.st_rdev) if stat.S_ISCHR(seen.st_mode) else None


def _absent(lines: Iterable[str]) -> list[str]:
    """Libraries that the host's loader does not know, in any version."""
    wanted = [name for row in lines for name in row.split()]
    known = run(["ldconfig", "-p"]).stdout if wanted else ""
    return [name for name in wanted if not re.search(rf"^\s*{re.escape(name)}\b", known, re.M)]
