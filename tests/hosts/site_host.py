"""A host with a whole site on it: installed from the bundle alone, sealed, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import own_servers
from bundle_dist import CARRY_TIMEOUT, STICK, Bundle, check, install
from host import Host, Result
from scenario import Hosts, ctl
from sealed import Sealed, sealed

ROLE = "all-in-one"
SITE_FILE = "/etc/backendai/site.toml"
SERVICES = (
    "manager",
    "agent",
    "storage-proxy",
    "webserver",
    "gateway",
    "appproxy-coordinator",
    "appproxy-worker",
    "appproxy-tcp-worker",
)
UNITS = tuple(f"backendai-{name}.service" for name in SERVICES)
SERVERS = (*own_servers.NAMES, *own_servers.BESIDE)
ALL_UNITS = (*UNITS, *(f"backendai-{name}.service" for name in SERVERS))
HEALTHY_TIMEOUT = 420  # seconds: systemd ends a start that hangs after 180, then comes another


@dataclass
class SiteHost:
    """A host that can be rebooted; `network` is what left it, `root` what it is made of.

    `checked` and `installation` are what verify.sh and install.sh said; `unwell`: the last wait for
    healthy services was in vain.
    """

    hosts: Hosts
    network: Sealed
    folder: Path
    binds: Mapping[Path, str]
    name: str
    root: str = "trixie"
    writable: Mapping[Path, str] = field(default_factory=dict)
    host: Host = field(init=False)
    checked: Result = field(init=False)
    installation: Result = field(init=False)
    unwell: bool = field(init=False, default=False)
    _running: AbstractContextManager[Host] = field(init=False)

    def up(self) -> Host:
        """Boot from the kept disk."""
        docker, disk = self.folder / "docker", self.folder / "disk"
        for place in (docker, disk):
            place.mkdir(parents=True, exist_ok=True)
        self._running = self.hosts.boot(
            self.root,
            binds=self.binds,
            writable={docker: own_servers.ENGINE, **self.writable},
            netns=self.network.netns,
            privileged=True,
            upper=disk,
            hostname=self.name,
        )
        self.host = self._running.__enter__()
        return self.host

    def down(self) -> None:
        self._running.__exit__(None, None, None)

    def reboot(self) -> Host:
        """Power off, and boot anew: another PID 1, the same disk."""
        self.down()
        return self.up()

    def ctl(self, *words: str, timeout: float = 300) -> Any:
        """What `backendai-ctl WORDS --json` says; the command must succeed."""
        return ctl(self.host, *words, timeout=timeout)

    def inactive(self) -> list[str]:
        """Units of the site, those of its servers too, that are not active."""
        shown = self.host.run(["systemctl", "is-active", *ALL_UNITS]).stdout.split()
        return [unit for unit, state in zip(ALL_UNITS, shown, strict=True) if state != "active"]

    def wait_healthy(self) -> None:
        """Until `backendai-ctl status` has nothing to say.

        A site that was waited for in vain gets no second wait: a scenario that left it so would cost
        all that come after it seven minutes each.
        """
        seconds = 20 if self.unwell else HEALTHY_TIMEOUT
        self.unwell = True
        self.host.check(["backendai-ctl", "status", "--wait", str(seconds)], timeout=seconds + 60)
        self.unwell = False

    @contextmanager
    def described(self, text: str) -> Iterator[None]:
        """With a site file, until the block ends; the site has none before and after, and is healthy."""
        reconfigure = ["backendai-ctl", "reconfigure"]
        self.host.write(SITE_FILE, text)
        self.host.check(reconfigure, timeout=600)
        self.wait_healthy()
        yield
        self.host.sh(f"rm {SITE_FILE}")
        self.host.check(reconfigure, timeout=600)
        self.wait_healthy()

    def secret(self, name: str) -> str:
        return self.host.sh(f"cat /etc/backendai/secrets/{name}")


@contextmanager
def bare_host(
    bundle: Bundle,
    folder: Path,
    name: str = "site",
    *,
    root: str = "trixie",
    binds: Mapping[Path, str] | None = None,
    also: Mapping[Path, str] | None = None,
) -> Iterator[SiteHost]:
    """Without anything on it, and the unpacked bundle as the medium.

    `binds`: folders it sees; `also`: those it writes to.
    """
    with sealed(name) as network:
        seen = {bundle.unpacked: f"{STICK}/{bundle.name}", **(binds or {})}
        site = SiteHost(Hosts(), network, folder, seen, name, root, also or {})
        site.up()
        try:
            yield site
        finally:
            site.down()


@contextmanager
def site_host(
    hosts: Hosts,
    bundle: Bundle,
    folder: Path,
    *,
    name: str = "site",
    site_file: str = "",
    given: Mapping[str, str] | None = None,
    binds: Mapping[Path, str] | None = None,
) -> Iterator[SiteHost]:
    """Install the role from the bundle alone on a bare host; `site_file` is what `--site` gives.

    `given`: files that the operator put on the host before. `binds`: folders it sees.
    Without a site file the host unpacks the tar itself; with one the unpacked bundle is the medium.
    """
    medium = bundle.unpacked if site_file else bundle.tar
    with sealed(name) as network:
        seen = {medium: f"{STICK}/{medium.name}", **(binds or {})}
        site = SiteHost(hosts, network, folder, seen, name)
        host = site.up()
        try:
            for path, text in (given or {}).items():
                host.write(path, text)
            words = ["--role", ROLE]
            if site_file:
                here = f"{STICK}/{medium.name}"
                host.write("/var/tmp/site.toml", site_file)
                words += ["--site", "/var/tmp/site.toml"]
            else:
                here = f"/var/tmp/{bundle.name}"
                host.check(
                    ["tar", "xf", f"{STICK}/{medium.name}"], cwd="/var/tmp", timeout=CARRY_TIMEOUT
                )
            site.checked = check(host, here, bundle.fact("fingerprint"))
            site.installation = install(host, here, *words)
            yield site
        finally:
            site.down()
