"""scripts/bench-install: from `apt install backendai-all-in-one` on a bare host to healthy."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from devtools.tables import table

GOAL = 90.0  # seconds on 2 cores
MEMORY = Path("/dev/shm")
_ABOUT = """\
Boot a bare Debian 13 host without network, add the bundle as its source, and measure from
`apt install backendai-all-in-one` until every service is healthy: what apt and dpkg take, every step
of backendai-ctl, and the share of each. Needs root and ./pants package ::."""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when the goal is met, 1 when not."""
    parser = argparse.ArgumentParser(prog="scripts/bench-install", description=_ABOUT)
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    parser.add_argument(
        "--disk",
        type=Path,
        default=MEMORY,
        metavar="DIR",
        help="where the host's disk lies (default: %(default)s, memory, so that the figure is not "
        "that of this machine's disk)",
    )
    options = parser.parse_args(argv)
    on_test_python(root)
    with tempfile.TemporaryDirectory(prefix="backendai-install-", dir=options.disk) as name:
        folder = Path(name)
        bundle = import_module("bundle_dist").find(options.dist, folder)
        with import_module("site_host").bare_host(bundle, folder / "site") as site:
            source, installed, healthy = measure(site, f"/media/stick/{bundle.name}")
            events = site.host.check(["cat", "/var/lib/backendai/ctl/journal.jsonl"]).stdout
    print(table(["what", "seconds", "share"], rows_of(events, installed, healthy)))
    total = installed + healthy
    print(
        f"\napt install to healthy: {total:.1f} s, {total / GOAL:.2f} of the goal of {GOAL:.0f} s; "
        f"before it, install.sh checks and copies the bundle: {source:.1f} s\n"
        f"disk in {options.disk}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    return 0 if total <= GOAL else 1


def measure(site: Any, folder: str) -> tuple[float, float, float]:
    """Seconds for install.sh to add the source, for apt, and from then until all are healthy."""
    limit = import_module("bundle_dist").INSTALL_LIMIT
    source = site.host.check([f"{folder}/install.sh", "--no-install"], limit=limit).seconds
    call = ["apt-get", "install", "-y", "-q", "backendai-all-in-one"]
    installed = site.host.check(call, limit=limit).seconds
    began = time.monotonic()
    site.wait_healthy()
    return source, installed, time.monotonic() - began


def rows_of(events: str, installed: float, healthy: float) -> list[list[str]]:
    """What is shown: packages, each step of the journal, what was left to wait for."""
    steps = {
        event["step"]: float(event["seconds"])
        for event in map(json.loads, events.splitlines())
        if event["event"] == "done"
    }
    rows = [
        ("unpack and configure packages", installed - sum(steps.values())),
        *steps.items(),
        ("status: every service is healthy", healthy),
    ]
    total = installed + healthy
    return [[what, f"{took:.1f}", f"{took / total:.2f}"] for what, took in rows]


def on_test_python(root: Path) -> None:
    """Start this program anew on the Python of the tests, and let it import their hosts."""
    search = {**os.environ, "PYTHONPATH": str(root / "src")}
    call = [sys.executable, "-m", "bootstrap", "venv", "test"]
    done = subprocess.run(call, env=search, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    python = Path(done.stdout.strip(), "bin/python")
    if Path(sys.prefix).resolve() != python.parents[1].resolve():
        os.execv(python, [str(python), *sys.argv])
    sys.path[:0] = [str(root / "tests/hosts"), str(root / "tests")]
