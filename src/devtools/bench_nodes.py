"""scripts/bench-nodes: from `./install.sh` on bare hosts to a healthy site of 1, 3 or 5 nodes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from devtools.bench_install import on_test_python
from release_tool.tables import table

SITES: dict[int, dict[str, tuple[str, ...]]] = {
    1: {"mgmt": ("all-in-one",)},
    3: {"mgmt": ("management",), "storage1": ("storage",), "compute1": ("compute",)},
}
SITES[5] = {**SITES[3], "compute2": ("compute",), "compute3": ("compute",)}
_ABOUT = """\
Boot bare Debian 13 hosts on one private network, install each by its role from the bundle, all at
once, let all but the first join, and measure until every service of every node is healthy. All
hosts share this machine's processors. Needs root and ./pants package ::."""


def main(root: Path, argv: Sequence[str]) -> int:
    """0 when every site became healthy."""
    parser = argparse.ArgumentParser(prog="scripts/bench-nodes", description=_ABOUT)
    parser.add_argument("--dist", type=Path, default=root / "dist", metavar="DIR")
    parser.add_argument(
        "--nodes", type=int, action="append", choices=sorted(SITES), help="how many (default: all)"
    )
    options = parser.parse_args(argv)
    on_test_python(root)
    bundle_dist = import_module("bundle_dist")
    with tempfile.TemporaryDirectory(prefix="backendai-nodes-", dir="/var/tmp") as name:
        folder = Path(name)
        bundle = bundle_dist.find(options.dist, folder)
        rows = []
        for number in options.nodes or sorted(SITES):
            print(f"a site of {number}", file=sys.stderr, flush=True)
            rows += measure(bundle, folder / str(number), SITES[number])
    print(table(["nodes", "what", "seconds"], rows))
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


def measure(bundle: Any, folder: Path, roles: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """Rows of one site: each node's install.sh, all joins, and the whole."""
    nodes, scenario = import_module("site_of_nodes"), import_module("scenario")
    others = [name for name in roles if name != "mgmt"]
    with nodes.hosts_of(scenario.Hosts(), bundle, folder, roles) as site:
        began = time.monotonic()
        site.install(*roles)
        installed = time.monotonic()
        if others:
            site.join(*others)
        joined = time.monotonic()
        site.healthy()
        for name, taken in roles.items():
            if {"compute", "all-in-one"} & set(taken):
                site.agent(name)
        ended = time.monotonic()
        each = {name: done.seconds for name, done in site.installations.items()}
    return rows_of(len(roles), each, installed - began, joined - installed, ended - began)


def rows_of(
    number: int, each: dict[str, float], installed: float, joined: float, total: float
) -> list[list[str]]:
    """What is shown of one site."""
    found = [(f"install.sh on {name}", seconds) for name, seconds in each.items()]
    found.append(("install.sh on all, at once", installed))
    found += [("export and join", joined)] if number > 1 else []
    found += [("total until healthy, agents ALIVE", total), ("total per node", total / number)]
    return [[str(number), what, f"{seconds:.1f}"] for what, seconds in found]
