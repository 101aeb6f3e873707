"""scripts/bench-install: from install.sh on a bare host to healthy, against another release."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from release_tool.tables import table

GOAL = 0.6  # of the time of the release that it is held against
MEMORY = Path("/dev/shm")
TIMEOUT = 900  # seconds
DOCKER = Path("/var/lib/docker")  # of Debian's engine, which releases before 26.9.6-2 installed
_ABOUT = """\
Boot a bare Debian 13 host without network, and measure from `install.sh --role all-in-one` until every
service is healthy: what install.sh, apt and dpkg take, every step of backendai-ctl, and the share of each.
Beside it stands the floor: `dpkg --unpack` of the same packages. With --against the bundle of another
release is measured in the same run, on the same machine. Needs root and ./pants package ::."""


@dataclass(frozen=True)
class Measured:
    """Seconds: of install.sh, from its end to healthy, of `dpkg --unpack` alone; `events` of the journal."""

    name: str
    installed: float
    healthy: float
    floor: float
    events: str

    @property
    def total(self) -> float:
        return self.installed + self.healthy


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when all is healthy and, with --against, the goal is met; 1 when not."""
    parser = argparse.ArgumentParser(prog="scripts/bench-install", description=_ABOUT)
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    parser.add_argument("--against", type=Path, metavar="TAR", help="a bundle of another release")
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
    tars = [import_module("bundle_dist").find(options.dist)]
    tars += [options.against.resolve()] if options.against else []
    found = []
    for tar in tars:
        found.append(measure(tar, options.disk))
        print(
            f"\n{tar.stem}\n{table(['what', 'seconds', 'share'], rows_of(found[-1]))}", flush=True
        )
    print(f"\ndisk in {options.disk}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if len(found) == 1:
        return 0
    ratio = found[0].total / found[1].total
    print(f"{found[0].name}: {ratio:.2f} of the time of {found[1].name}; the goal is {GOAL}")
    return 0 if ratio <= GOAL else 1


def measure(tar: Path, disk: Path) -> Measured:
    """Install the bundle on a host of its own."""
    dist, hosts = import_module("bundle_dist"), import_module("site_host")
    with tempfile.TemporaryDirectory(prefix="backendai-install-", dir=disk) as name:
        folder = Path(name)
        (folder / "bundle").mkdir()
        dist.unpack(tar, folder / "bundle")
        bundle = dist.Bundle(tar, folder / "bundle" / tar.stem)
        engine = folder / "engine"
        engine.mkdir()
        with hosts.bare_host(bundle, folder / "site", also={engine: str(DOCKER)}) as site:
            call = [f"{dist.STICK}/{bundle.name}/install.sh", "--role", "all-in-one"]
            installed = site.host.check(call, timeout=TIMEOUT).seconds
            began = time.monotonic()
            site.host.check(["backendai-ctl", "status", "--wait", "300"], timeout=TIMEOUT)
            healthy = time.monotonic() - began
            events = site.host.check(["cat", "/var/lib/backendai/ctl/journal.jsonl"]).stdout
            debs = came(site.host, f"{dist.STICK}/{bundle.name}/apt/pool")
        with hosts.bare_host(bundle, folder / "floor") as bare:
            floor = bare.host.check(["dpkg", "--unpack", *debs], timeout=TIMEOUT).seconds
    return Measured(tar.stem, installed, healthy, floor, events)


def came(host: Any, pool: str) -> list[str]:
    """Files in the pool of the packages that apt installed."""
    shown = host.check(["dpkg-query", "-W", "-f", "${Package}_${Version}_${Architecture}.deb\\n"])
    names = {re.sub(r"_\d+:", "_", line) for line in shown.stdout.splitlines()}  # without the epoch
    files: list[str] = host.sh(f"find {pool} -name '*.deb'").split()
    return [file for file in files if file.rsplit("/", 1)[-1] in names]


def rows_of(found: Measured) -> list[list[str]]:
    """What is shown: packages, each step of the journal, what was left to wait for, the floor."""
    steps = {
        event["step"]: float(event["seconds"])
        for event in map(json.loads, found.events.splitlines())
        if event["event"] == "done"
    }
    rows = [
        ("install.sh checks, copies, unpacks", found.installed - sum(steps.values())),
        *steps.items(),
        ("status: every service is healthy", found.healthy),
        ("together", found.total),
        ("floor: dpkg --unpack of the same debs", found.floor),
    ]
    return [[what, f"{took:.1f}", f"{took / found.total:.2f}"] for what, took in rows]


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
