"""scripts/bench-start: how fast installed commands answer, just unpacked and again."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bootstrap.cache import Cache, default_cache, exclusive
from bootstrap.interpreters import RELEASE_PYTHON, Interpreters
from bootstrap.wheels import Wanted, link_wheels
from devtools.variants import unshare
from release_tool.tables import table
from releasekit.closure import closure
from releasekit.errors import Failure
from releasekit.locks import read_python_lock

Sample = tuple[float, float]  # wall and processor seconds
Samples = dict[str, list[list[Sample]]]

PACKAGES = ("runtime", "common", "manager")
COMMANDS = ("mgr --help", "mgr start-server --help")  # the second loads the server's modules
_INSTALLED = "/opt/backendai/current/bin/backend.ai"
GOAL_FIRST, GOAL_PLAIN = 1.25, 1.2  # first / second; second / plain environment
_BUILD = "packaging/components/manager/BUILD"
_ABOUT = """\
Measure the start of installed commands. The debs of dist/ are unpacked anew for every round into a
throw-away folder that becomes /opt in a mount namespace (the machine's own /opt is not touched).
Each command is run three times; a plain virtual environment with the same wheels, compiled, on the
same Python, is measured in turn with it. Processor time tells more than wall time on a busy
machine; the goals are judged by the least of each."""
# Runs in the namespace: wall and processor seconds of each of N runs.
_TIMER = """\
import json, os, subprocess, sys, time
times = []
for _ in range(int(sys.argv[1])):
    start, before = time.monotonic(), os.times()
    subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, check=True)
    wall, after = time.monotonic() - start, os.times()
    cpu = after[2] + after[3] - before[2] - before[3]
    times.append([wall, cpu])
print(json.dumps(times))
"""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when both goals are met, 1 when not."""
    parser = argparse.ArgumentParser(prog="scripts/bench-start", description=_ABOUT)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (default 5)")
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    options = parser.parse_args(argv)
    debs = [find_deb(options.dist, f"backendai-{name}") for name in PACKAGES]
    installed: Samples = {command: [] for command in COMMANDS}
    plain: Samples = {command: [] for command in COMMANDS}
    with tempfile.TemporaryDirectory(prefix="backendai-start-", dir=_disk()) as name:
        scratch = Path(name)
        venv = plain_environment(root, default_cache(), scratch / "plain")
        for number in range(options.rounds):
            tree = scratch / f"root{number}"
            for deb in debs:
                subprocess.run(["dpkg-deb", "--extract", str(deb), str(tree)], check=True)
            for command in COMMANDS:
                words = command.split()
                installed[command].append(measure(3, [_INSTALLED, *words], tree))
                plain[command].append(measure(2, [str(venv / "bin/backend.ai"), *words], None))
            shutil.rmtree(tree)
            print(f"round {number + 1} of {options.rounds}", flush=True)
    results = [report(command, installed[command], plain[command]) for command in COMMANDS]
    print("\n\n".join(text for text, _ in results))
    return 0 if all(good for _, good in results) else 1


def find_deb(dist: Path, package: str) -> Path:
    """The one deb of a package."""
    found = sorted(dist.glob(f"{package}_[0-9]*.deb"))
    if len(found) != 1:
        raise Failure(f"{dist} holds {len(found)} debs of {package}", hint="run ./pants package ::")
    return found[0]


def plain_environment(root: Path, cache: Cache, target: Path) -> Path:
    """What `python -m venv` and `pip install` would make of the manager's wheels, compiled."""
    lock = read_python_lock(root / "packaging/locks/python.lock")
    raw = json.loads((root / "packaging/locks/python.lock").read_text(encoding="utf-8"))["packages"]
    names = sorted(closure(raw, distributions(root / _BUILD), wanted_by=_BUILD))
    with exclusive(cache):
        pythons = Interpreters(cache, root)
        python, pip = pythons.path(RELEASE_PYTHON), pythons.pip(RELEASE_PYTHON)
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(target)], check=True)
    links = target / "links"
    links.mkdir()
    link_wheels(cache, [Wanted(n, lock.packages[n], RELEASE_PYTHON) for n in names], links)
    pins = [f"{name}=={lock.packages[name].version}" for name in names]
    options = ("--no-index", "--no-deps", "--no-cache-dir", "--compile", f"--find-links={links}")
    argv = pip.argv(f"--python={target / 'bin/python'}", "install", "--quiet", *options, *pins)
    subprocess.run(argv, env=pip.env({"PIP_FIND_LINKS": ""}), check=True)
    return target


def distributions(build: Path) -> list[str]:
    """The field `distributions` of a component."""
    text = build.read_text(encoding="utf-8")
    match = re.search(r"distributions=\[(.*?)\],?$", text, re.DOTALL | re.MULTILINE)
    if match is None:
        raise Failure(f"{build} has no field `distributions`")
    return re.findall(r'"([^"]+)"', match.group(1))


def measure(runs: int, argv: Sequence[str], tree: Path | None) -> list[Sample]:
    """Wall and processor seconds of each run, with `tree`/opt as /opt when given."""
    mount = f"mount --bind {tree}/opt /opt && " if tree else ""
    inner = f'{mount}exec "$@"'
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    program = [*unshare(os.geteuid() == 0), "sh", "-c", inner, "sh", sys.executable, "-c", _TIMER]
    done = subprocess.run(
        [*program, str(runs), *argv], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failure(f"{argv[0]} did not run:\n{done.stderr[-2000:]}")
    return [(wall, cpu) for wall, cpu in json.loads(done.stdout)]


def report(
    command: str, installed: Sequence[Sequence[Sample]], plain: Sequence[Sequence[Sample]]
) -> tuple[str, bool]:
    """The table of a command, and whether the least processor times meet both goals."""
    first, second = [runs[0] for runs in installed], [runs[1] for runs in installed]
    series = {
        "first after unpacking": first,
        "second": second,
        "third": [runs[2] for runs in installed],
        "plain environment, second": [runs[-1] for runs in plain],
    }
    rows = [(name, *_spread(samples)) for name, samples in series.items()]
    good = True
    for one, other, goal in (
        ("first after unpacking", "second", GOAL_FIRST),
        ("second", "plain environment, second", GOAL_PLAIN),
    ):
        cells = [f"{a / b:.2f}" for a, b in zip(_figures(series[one]), _figures(series[other]))]
        rows.append((f"{one} / {other} (goal {goal})", *cells))
        good = good and float(cells[2]) <= goal
    head = (f"backend.ai {command}", "wall, least", "wall, median", "cpu, least", "cpu, median")
    return table(head, rows), good


def _figures(samples: Sequence[Sample]) -> list[float]:
    wall, cpu = [sample[0] for sample in samples], [sample[1] for sample in samples]
    return [min(wall), statistics.median(wall), min(cpu), statistics.median(cpu)]


def _spread(samples: Sequence[Sample]) -> list[str]:
    return [f"{seconds:.2f} s" for seconds in _figures(samples)]


def _disk() -> str:
    return os.environ.get("TMPDIR", "/var/tmp")
