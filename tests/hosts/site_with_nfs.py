"""A site whose volume one node keeps: management and compute on `mgmt`, storage on `store`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import artefacts
import nfs_double
import own_servers
from host import Host
from scenario import SITE_PATH, Hosts, ctl
from suites import REPO, family
from switch import switched

ADDRESSES = {"mgmt": "10.78.0.1", "store": "10.78.0.2"}
PATH = "/vfroot/shared"
OTHER = "/srv/other"  # what the store also has, for somebody else's exports
SITE_FILE = f"""\
[site]
address = "{ADDRESSES["mgmt"]}"

[network]
allow = ["10.78.0.0/24"]

[nodes.mgmt]
address = "{ADDRESSES["mgmt"]}"
roles = ["management", "compute"]

[nodes.store]
address = "{ADDRESSES["store"]}"
roles = ["storage"]

[storage.volumes.shared]
kind = "nfs"
server = "store"
"""
PACKAGES = {
    "mgmt": ("backendai-management-node", "backendai-compute-node"),
    "store": ("backendai-storage-node",),
}


@dataclass
class Site:
    """The two hosts. They can be booted anew; their disks stay."""

    hosts: Hosts
    repositories: Path
    folder: Path
    spaces: dict[str, str]
    up: dict[str, Host] = field(default_factory=dict)
    _running: dict[str, AbstractContextManager[Host]] = field(default_factory=dict)

    @property
    def mgmt(self) -> Host:
        return self.up["mgmt"]

    @property
    def store(self) -> Host:
        return self.up["store"]

    def boot(self, name: str) -> Host:
        """Boot a host from its disk. The volume is the store's; mgmt sees it where the stand-in looks."""
        here, seen = self.folder / name, "" if name == "store" else nfs_double.SEEN
        volumes = {self.folder / "volume": f"{seen}{PATH}", self.folder / "other": f"{seen}{OTHER}"}
        for place in (here / "disk", here / "docker", *volumes):
            place.mkdir(parents=True, exist_ok=True)
        self._running[name] = self.hosts.boot(
            nfs_double.ROOT,
            binds={self.repositories: REPO},
            writable={here / "docker": own_servers.ENGINE, **volumes},
            netns=self.spaces[name],
            privileged=True,
            upper=here / "disk",
            hostname=name,
        )
        self.up[name] = self._running[name].__enter__()
        return self.up[name]

    def down(self, name: str) -> None:
        if name in self._running:
            self._running.pop(name).__exit__(None, None, None)

    def reboot(self, name: str) -> Host:
        self.down(name)
        return self.boot(name)


@contextmanager
def site_with_nfs(
    hosts: Hosts, dist: artefacts.Dist, repositories: Path, folder: Path
) -> Iterator[Site]:
    """Both hosts set up; the NFS server runs and the volume is mounted on `mgmt`."""
    with ExitStack() as stack:
        switch = stack.enter_context(switched(ADDRESSES))
        made = Site(hosts, repositories, folder, switch.spaces)
        manager = family("trixie", dist)
        try:
            for name in ADDRESSES:
                made.boot(name)
                manager.add_repository(made.up[name])
            nfs_double.server(made.store)
            nfs_double.client(made.mgmt)
            made.mgmt.write(SITE_PATH, SITE_FILE)
            for name, host in made.up.items():
                manager.install(host, PACKAGES[name])
            _join(made)
            ctl(made.mgmt, "reconfigure")
            yield made
        finally:
            for name in ADDRESSES:
                made.down(name)


def _join(site: Site) -> None:
    """Let the storage node join; it exports the volume then."""
    file, secret = "/var/tmp/store.node", "/var/tmp/passphrase"
    given = ctl(site.mgmt, "node", "export", "store", "--output", file)
    site.store.write(file, site.mgmt.sh(f"cat {file}") + "\n")
    site.store.write(secret, f"{given['passphrase']}\n")
    ctl(site.store, "node", "join", file, "--passphrase-file", secret)
