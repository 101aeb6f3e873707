"""Checks of accelerators: what a plugin of the agent needs of this host before it finds any device.

Each plugin's package says so in its drop-in of the agent's unit (packaging/templates/plugin.conf.j2).
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from backendai_ctl.checks.base import Check
from backendai_ctl.context import Context
from backendai_ctl.platform.run import run
from backendai_ctl.result import Result, fail, ok
from backendai_ctl.services import plugins

DRIVERS = Path("/proc/devices")
DEVICES = Path("/dev")
AGAIN = "then run: backendai-ctl reconfigure; backendai-ctl restart agent"
_WHY = "the agent finds no device otherwise"


def checks(ctx: Context) -> list[Check]:
    """One for each plugin on this host."""
    agent = ctx.facts.components.get("agent")
    found = plugins.drop_ins(ctx, agent) if agent and ctx.here("agent") else []
    ours = [file for file in found if file.stem.startswith("backendai-")]
    return [
        Check("accelerators", file.stem.removeprefix("backendai-"), _WHY, partial(plugin, file))
        for file in ours
    ]


def plugin(file: Path, _ctx: Context) -> Result:
    """Whether driver, device nodes and libraries are there."""
    allowed = plugins.words(file, "DeviceAllow")
    patterns = [word.removeprefix("char-") for word in allowed if word.startswith("char-")]
    if not patterns:
        return ok("it simulates its devices")
    found, missing = _drivers(patterns)
    if missing:
        return fail(
            f"no driver: {DRIVERS} has no {' and no '.join(missing)}",
            f"install the vendor's driver, {AGAIN}",
        )
    nodes = _nodes()
    counts = {name: nodes[major] for name, major in found.items()}
    if bare := [name for name, count in counts.items() if not count and name in patterns]:
        return fail(
            f"the driver is loaded, but {DEVICES} has no node of {', '.join(bare)}",
            f"have the vendor's tools make them (NVIDIA: nvidia-modprobe -u -c 0), {AGAIN}",
        )
    if absent := _absent(plugins.words(file, "X-Libraries")):
        return fail(f"the host has no {', '.join(absent)}", f"install it, run: ldconfig; {AGAIN}")
    return ok(", ".join(f"{name} ({count})" for name, count in sorted(counts.items()) if count))


def _drivers(patterns: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Major numbers by drivers' names, and what is missing.

    Each driver that is named has to be there, and one of those that patterns stand for besides.
    """
    text = DRIVERS.read_text("utf-8").partition("Block devices:")[0]
    known = {name: int(major) for major, name in re.findall(r"^\s*(\d+) (\S+)$", text, re.M)}
    wild = [pattern for pattern in patterns if "*" in pattern]
    plain = [pattern for pattern in patterns if pattern not in wild]
    others = [
        name for name in known if name not in plain and any(fnmatchcase(name, p) for p in wild)
    ]
    missing = [name for name in plain if name not in known]
    missing += [" or ".join(wild)] if wild and not others else []
    return {name: known[name] for name in known if name in (*plain, *others)}, missing


def _nodes() -> Counter[int | None]:
    """How many device nodes there are by their major number."""
    found = (Path(folder, name) for folder, _, names in os.walk(DEVICES) for name in names)
    return Counter(map(_major, found))


def _major(path: Path) -> int | None:
    """Of a node of a character device; None for anything else."""
    try:
        seen = path.lstat()
    except OSError:  # it went away meanwhile
        return None
    return os.major(seen.st_rdev) if stat.S_ISCHR(seen.st_mode) else None


def _absent(wanted: Sequence[str]) -> list[str]:
    """Libraries that the host's loader does not know, in any version."""
    known = run(["ldconfig", "-p"]).stdout if wanted else ""
    return [name for name in wanted if not re.search(rf"^\s*{re.escape(name)}\b", known, re.M)]
