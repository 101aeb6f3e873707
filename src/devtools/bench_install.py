"""scripts/bench-install: from `./install.sh --role all-in-one` on a bare host to healthy."""

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

from devtools.tables import table

GOAL = 90.0  # seconds on 2 cores
_ABOUT = """\
Boot a bare Debian 13 host without network, install the role all-in-one from the bundle, and measure
until every service is healthy: what checks, copies, apt and dpkg take, every step of backendai-ctl,
and the share of each. Needs root and ./pants package ::."""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when the goal is met, 1 when not."""
    parser = argparse.ArgumentParser(prog="scripts/bench-install", description=_ABOUT)
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    options = parser.parse_args(argv)
    on_test_python(root)
    bundle_dist, scenario = import_module("bundle_dist"), import_module("scenario")
    site_host = import_module("site_host").site_host

    with tempfile.TemporaryDirectory(prefix="backendai-install-") as name:
        folder = Path(name)
        bundle = bundle_dist.find(options.dist, folder)
        began = time.monotonic()
        with site_host(scenario.Hosts(), bundle, folder / "site") as site:
            site.wait_healthy()
            seconds = site.installation.seconds
            healthy = time.monotonic() - began
            events = site.host.check(["cat", "/var/lib/backendai/ctl/journal.jsonl"]).stdout
    steps = {
        event["step"]: float(event["seconds"])
        for event in map(json.loads, events.splitlines())
        if event["event"] == "done"
    }
    rows = [
        ("check and copy the bundle, unpack and configure packages", seconds - sum(steps.values())),
        *steps.items(),
    ]
    print(
        table(
            ["what", "seconds", "share"],
            [[what, f"{took:.1f}", f"{took / seconds:.2f}"] for what, took in rows],
        )
    )
    print(
        f"\ninstall.sh: {seconds:.1f} s, {seconds / GOAL:.2f} of the goal of {GOAL:.0f} s; "
        f"with boot and status {healthy:.1f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    return 0 if seconds <= GOAL else 1


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
