"""What all scenarios share: places inside hosts, booting a host by name, a host with our packages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import roots
from artefacts import Dist
from host import Host, boot
from suites import Family, family

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]

INSIDE = "/harness"  # where hosts see tests/hosts/inside
CPYTHON_TESTS = "/cpython-tests"  # and CPython's own tests
PYTHON = "/opt/backendai/runtime/bin/python3.13"
VENV_PYTHON = "/opt/backendai/current/bin/python"
SITE = "/opt/backendai/current/lib/python3.13/site-packages"
SITE_PATH = "/etc/backendai/site.toml"
EMAIL = "admin@localhost.localdomain"  # of the first administrator, where the site file names none
RECONFIGURE_TIMEOUT = 400  # seconds
TOOLS = ("systemd-nspawn", "unshare", "nsenter", "mmdebstrap", "apt-ftparchive", "createrepo_c")


def unmet() -> str | None:
    """Why hosts cannot boot on this machine, or None."""
    if os.geteuid() != 0:
        return "throw-away hosts need root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        packages = "mmdebstrap systemd-container apt-utils rpm createrepo-c"
        return f"not installed: {', '.join(absent)} (apt install {packages})"
    known = Path("/proc/filesystems").read_text().split()
    lacking = [kind for kind in ("cgroup2", "overlay") if kind not in known]
    if lacking:
        return f"the kernel has no {' and no '.join(lacking)}"
    return None


@contextmanager
def disks(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder for disks of hosts, which are gigabytes: removed with the hosts, not after all tests."""
    folder = factory.mktemp(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Hosts:
    """Boots hosts by the name of their root (see roots.RECIPES) or release (roots.RELEASES)."""

    def boot(
        self,
        name: str,
        *,
        binds: Mapping[Path, str] | None = None,
        writable: Mapping[Path, str] | None = None,
        netns: str | None = None,
        privileged: bool = False,
        upper: Path | None = None,
        hostname: str = "testhost",
    ) -> AbstractContextManager[Host]:
        """A running host until the ``with`` block ends; see host.boot for the options."""
        root, over = roots.place(name)
        return boot(
            root,
            name=hostname,
            binds={HERE / "inside": INSIDE, **over, **(binds or {})},
            writable=writable,
            netns=netns,
            privileged=privileged,
            upper=upper,
        )


@dataclass(frozen=True)
class Installed:
    """A host with all our packages: what it was like before they came, and right after."""

    suite: str
    host: Host
    family: Family
    files_after: frozenset[str]
    units_before: frozenset[str]


@contextmanager
def install(hosts: Hosts, suite: str, dist: Dist, binds: Mapping[Path, str]) -> Iterator[Installed]:
    """Boot a host of ``suite`` and install all packages of the bound repository."""
    manager = family(suite, dist)
    with hosts.boot(suite, binds=binds) as host:
        manager.add_repository(host)
        units = unit_states(host)
        manager.install(host)
        yield Installed(suite, host, manager, host.files(), units)


def ctl(host: Host, *words: str, timeout: float = RECONFIGURE_TIMEOUT, status: int = 0) -> Any:
    """What `backendai-ctl WORDS --json` says; it must end with this exit status."""
    done = host.run(["backendai-ctl", *words, "--json"], timeout=timeout)
    assert done.returncode == status, done
    return json.loads(done.stdout)


def changed(host: Host) -> list[str]:
    """Steps of another `reconfigure` that did something."""
    steps = ctl(host, "reconfigure")["steps"]
    return [name for name, step in steps.items() if step["state"] != "same"]


def unit_states(host: Host) -> frozenset[str]:
    """`NAME STATE` of every unit file of the host."""
    call = ["systemctl", "list-unit-files", "--no-legend", "--plain", "--no-pager"]
    lines = host.check(call).stdout.splitlines()
    return frozenset(" ".join(line.split()[:2]) for line in lines)
