"""A site of several hosts: each installed by apt from a folder, joined by `node join`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import artefacts
from host import Host, Result
from scenario import Hosts
from suites import REPO, family
from switch import switched

ADDRESSES = {"mgmt": "10.77.0.1", "compute1": "10.77.0.11", "edge1": "10.77.0.21"}
PACKAGES = {
    "mgmt": (
        *("backendai-management-node", "backendai-storage-node"),
        *("postgresql", "valkey-server", "etcd-server", "etcd-client"),
    ),
    "compute1": ("backendai-compute-node",),
    "edge1": ("backendai-edge-node",),
}
SITE_FILE = f"""\
[site]
address = "{ADDRESSES["mgmt"]}"

[nodes.mgmt]
address = "{ADDRESSES["mgmt"]}"
roles = ["management", "storage"]

[nodes.compute1]
address = "{ADDRESSES["compute1"]}"
interface = "10.77.0.0/24"
roles = ["compute"]
labels = ["rack-1"]
"""
EDGE = f"""
[nodes.edge1]
address = "{ADDRESSES["edge1"]}"
interface = "site0"
roles = ["edge"]
"""
FILE = "/var/tmp/this.node"
PASSPHRASE = "/var/tmp/passphrase"
RECONFIGURE_LIMIT = 400  # seconds
ALIVE_LIMIT = 120


@dataclass
class Site:
    """Running hosts by name; `installations` is what apt said on each."""

    hosts: dict[str, Host]
    installations: dict[str, Result] = field(default_factory=dict)

    @property
    def mgmt(self) -> Host:
        return self.hosts["mgmt"]

    def export(self, name: str) -> tuple[str, str]:
        """The sealed file for a node, and its passphrase."""
        data = ctl(self.mgmt, "node", "export", name, "--output", FILE)
        return self.mgmt.sh(f"cat {FILE}"), str(data["passphrase"])

    def carry(self, name: str, to: str | None = None) -> Host:
        """Export a node, and put file and passphrase on a host: its own if none is named."""
        text, passphrase = self.export(name)
        host = self.hosts[to or name]
        host.write(FILE, text)
        host.write(PASSPHRASE, f"{passphrase}\n")
        return host

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of the manager's database."""
        call = ["psql", "-X", "-At", "-d", "backendai", "-c"]
        wrapped = f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found"
        rows: list[dict[str, Any]] = json.loads(
            self.mgmt.check([*call, wrapped], user="postgres").stdout
        )
        return rows

    def agent(self, name: str) -> dict[str, Any]:
        """The row of a node's agent once it is ALIVE; AssertionError if it is not in time."""
        until = time.monotonic() + ALIVE_LIMIT
        while True:
            rows = self.sql(f"SELECT * FROM agents WHERE id = 'i-{name}'")
            if rows and rows[0]["status"] == "ALIVE":
                return rows[0]
            assert time.monotonic() < until, rows or self.sql("SELECT id, status FROM agents")
            time.sleep(1)


def ctl(host: Host, *words: str, limit: float = RECONFIGURE_LIMIT) -> Any:
    """What `backendai-ctl WORDS --json` says; the command must succeed."""
    return json.loads(host.check(["backendai-ctl", *words, "--json"], limit=limit).stdout)


def join(host: Host, *words: str) -> Result:
    """`node join` with the file and passphrase that were carried to the host."""
    call = ["backendai-ctl", "node", "join", FILE, "--passphrase-file", PASSPHRASE, *words]
    return host.run(call, limit=RECONFIGURE_LIMIT)


@contextmanager
def site_of(
    hosts: Hosts,
    dist: artefacts.Dist,
    repositories: Path,
    folder: Path,
    names: Sequence[str] = ("mgmt", "compute1"),
) -> Iterator[Site]:
    """Hosts with the packages of their roles; the site is set up on `mgmt` alone so far."""
    with ExitStack() as stack:
        spaces: Mapping[str, str] = stack.enter_context(
            switched({name: ADDRESSES[name] for name in names})
        )
        site = Site({})
        for name in names:
            docker, disk = folder / name / "docker", folder / name / "disk"
            for place in (docker, disk):
                place.mkdir(parents=True)
            site.hosts[name] = stack.enter_context(
                hosts.boot(
                    "trixie",
                    binds={repositories: REPO},
                    writable={docker: "/var/lib/docker"},
                    netns=spaces[name],
                    privileged=True,
                    upper=disk,
                    hostname=name,
                )
            )
        site.mgmt.write("/etc/backendai/site.toml", SITE_FILE)
        manager = family("trixie", dist)
        for name, host in site.hosts.items():
            manager.add_repository(host)
            site.installations[name] = manager.install(host, PACKAGES[name])
        yield site
