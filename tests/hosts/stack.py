"""A root with everything installed and nothing configured, for scenarios that only need the parts.

It is made once a session: the packages, those of servers too, on a Debian 13 root, without a role,
so that backendai-ctl waits to be told. Every scenario boots its own copy in a second.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import artefacts
import own_servers
import roots
from host import Host, boot
from scenario import Hosts
from suites import REPO, family

ROOT = "trixie-nftables"  # a firewall of the host, which ours lives beside
COMPONENTS = (
    "manager",
    "agent",
    "storage-proxy",
    "webserver",
    "gateway",
    "appproxy-coordinator",
    "appproxy-worker",
    "appproxy-tcp-worker",
    "client",
    "ctl",
    "postgresql",
    "valkey",
    "etcd",
    "docker",
    "prometheus",
    "node-exporter",
    "registry",
)
CONFIGURE_TIMEOUT = 300  # seconds
UNTOUCHED = "/etc/backendai/no-configure"  # a boot finishes nothing while it is there
PYTHON = "/opt/backendai/current/bin/python"
STEP_NAMES = """
from backendai_ctl.facts import load
from backendai_ctl.steps.plan import steps
known = load()
here = {*known.installed(), ""}
print(*(s.name for s in steps(known) if not s.concerns(known) or here & {*s.concerns(known)}))
"""


@dataclass(frozen=True)
class Stack:
    """The root, and the folders it shows, topmost first; `boot` gives a fresh host on it.

    The site's own servers run on it once their steps are done.
    """

    root: Path
    layers: tuple[Path, ...]

    @contextmanager
    def boot(
        self,
        *,
        name: str = "stack",
        upper: Path | None = None,
        binds: Mapping[Path, str] | None = None,
    ) -> Iterator[Host]:
        """A host; what it writes is kept in `upper`, else in memory. `binds`: as of host.boot."""
        with boot(self.root, name=name, privileged=True, upper=upper, binds=binds) as host:
            own_servers.start(host)
            yield host


def configure(host: Host, only: Sequence[str] = ()) -> None:
    """Run the steps of backendai-ctl; all but the start of the services, if none is named."""
    wanted = only or [name for name in step_names(host) if name != "start-services"]
    words = [word for name in wanted for word in ("--only", name)]
    host.check(["backendai-ctl", "reconfigure", *words], timeout=CONFIGURE_TIMEOUT)


def step_names(host: Host) -> list[str]:
    """The steps that matter on a host, in their order."""
    return host.check([PYTHON, "-I", "-c", STEP_NAMES]).stdout.split()


def make(hosts: Hosts, dist: artefacts.Dist, repositories: Path, folder: Path) -> None:
    """Install everything once; the root is an overlay below `folder`."""
    disk, root = folder / "disk", folder / "root"
    for place in (disk, root):
        place.mkdir(parents=True)
    with hosts.boot(ROOT, binds={repositories: REPO}, privileged=True, upper=disk) as host:
        manager = family("trixie", dist)
        manager.add_repository(host)
        manager.install(host, [f"backendai-{name}" for name in COMPONENTS])
    _mount(of(folder))


def of(folder: Path) -> Stack:
    return Stack(folder / "root", (folder / "disk/u", roots.root(ROOT)))


def make_configured(stack: Stack, folder: Path) -> None:
    """On top of the stack: all steps of backendai-ctl done, none of ours started but its servers."""
    made = configured_of(stack, folder)
    for place in (folder / "disk", made.root):
        place.mkdir(parents=True)
    with stack.boot(upper=folder / "disk") as host:
        configure(host)
        host.sh(f"touch {UNTOUCHED}")
    _mount(made)


def configured_of(stack: Stack, folder: Path) -> Stack:
    return Stack(folder / "root", (folder / "disk/u", *stack.layers))


def _mount(made: Stack) -> None:
    """All layers side by side: the kernel stacks overlays no deeper than that and a host's own."""
    lower = "lowerdir=" + ":".join(map(str, made.layers))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", lower, str(made.root)], check=True)


def unmake(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder / "root")], check=False)
