"""A site of several hosts: each installed from the bundle by its role, joined by `node join`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nfs_double
import own_servers
from bundle_dist import STICK, Bundle, install
from host import Host, Result
from scenario import RECONFIGURE_TIMEOUT, SITE_PATH, Hosts, ctl
from switch import Switch, switched

NETWORK = "10.77.0.0/24"
ADDRESSES = {
    "mgmt": "10.77.0.1",
    "storage1": "10.77.0.2",
    "compute1": "10.77.0.11",
    "compute2": "10.77.0.12",
    "compute3": "10.77.0.13",
}
GROUPS = {"compute2": "gpu"}  # resource groups that the site does not have yet
VOLUME, PATH = "home", "/vfroot/home"  # kept by the storage node, if there is one
ROLES = {
    "mgmt": ("management",),
    "storage1": ("storage",),
    "compute1": ("compute",),
    "compute2": ("compute",),
    "compute3": ("compute",),
}
FILE = "/var/tmp/this.node"
PASSPHRASE = "/var/tmp/passphrase"
SECRETS = "ls -1 /etc/backendai/secrets 2>/dev/null || :"
CLIENT = {
    "BACKEND_ENDPOINT_TYPE": "session",
    "BACKEND_ENDPOINT": f"https://{ADDRESSES['mgmt']}:8090",
    "SSL_CERT_FILE": "/etc/backendai/tls/ca.crt",
}
ALIVE_TIMEOUT = 180
HEALTHY_TIMEOUT = 240
Roles = Mapping[str, Sequence[str]]


def site_file(roles: Roles) -> str:
    """A site file with these nodes; all addresses are IP addresses, nobody resolves a name."""
    lines = [
        "[site]",
        f'address = "{ADDRESSES["mgmt"]}"',
        "",
        "[network]",
        f'allow = ["{NETWORK}"]',
        "",
        "[sessions]",
        "containers = 2",
    ]
    for name, taken in roles.items():
        lines += ["", f"[nodes.{name}]", f'address = "{ADDRESSES[name]}"']
        lines += [f'interface = "{NETWORK}"', f"roles = {json.dumps(list(taken))}"]
        lines += [f'labels = ["{name[:-1]}"]'] if "compute" in taken else []
        lines += [f'resource_group = "{GROUPS[name]}"'] if name in GROUPS else []
    if "storage1" in roles:
        lines += ["", f"[storage.volumes.{VOLUME}]", 'kind = "nfs"', 'server = "storage1"']
    return "\n".join([*lines, ""])


@dataclass
class Site:
    """Running hosts by name, and their network; `installations`: what install.sh said on each."""

    hosts: dict[str, Host]
    switch: Switch
    bundle: Bundle
    roles: dict[str, Sequence[str]]
    installations: dict[str, Result] = field(default_factory=dict)

    @property
    def mgmt(self) -> Host:
        return self.hosts["mgmt"]

    def install(self, *names: str) -> None:
        """install.sh with the roles of the hosts, on all of them at once."""
        with ThreadPoolExecutor(len(names)) as together:
            self.installations |= zip(names, together.map(self._install, names), strict=True)

    def _install(self, name: str) -> Result:
        host, words = self.hosts[name], list[str]()
        for role in self.roles[name]:
            words += ["--role", role if role == "all-in-one" else f"{role}-node"]
        if name == "mgmt":
            host.write("/var/tmp/site.toml", site_file(self.roles))
            words += ["--site", "/var/tmp/site.toml"]
        return install(host, f"{STICK}/{self.bundle.name}", *words)

    def change(self, **roles: Sequence[str]) -> None:
        """Give nodes other roles in the site file, and set the management node up by it."""
        self.roles.update(roles)
        self.mgmt.write(SITE_PATH, site_file(self.roles))
        ctl(self.mgmt, "reconfigure")

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

    def join(self, *names: str) -> None:
        """Carry each node its file, and join all of them at once; first who keeps the volume."""
        first = [name for name in names if name == "storage1"]
        for batch in filter(None, (first, [name for name in names if name not in first])):
            carried = [self.carry(name) for name in batch]
            with ThreadPoolExecutor(len(batch)) as together:
                for done in together.map(join, carried):
                    assert done.returncode == 0, done

    def client(
        self, *words: str, stdin: str = "", home: str = "/root", cwd: str = "", timeout: float = 180
    ) -> Result:
        """`backend.ai WORDS` on the management node, as who has signed in from that home."""
        call, env = ["backend.ai", *words], {**CLIENT, "HOME": home}
        return self.mgmt.run(call, env=env, stdin=stdin, cwd=cwd or home, timeout=timeout)

    def healthy(self, *names: str) -> None:
        """Until `status` has nothing to say on these hosts; all of them if none is named."""
        wait = ["backendai-ctl", "status", "--wait", str(HEALTHY_TIMEOUT)]
        with ThreadPoolExecutor() as together:
            jobs = [self.hosts[name] for name in names or self.hosts]
            list(together.map(lambda host: host.check(wait, timeout=HEALTHY_TIMEOUT + 60), jobs))

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of the manager's database."""
        wrapped = f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found"
        rows: list[dict[str, Any]] = json.loads(own_servers.sql(self.mgmt, wrapped, "backendai"))
        return rows

    def agent(
        self, name: str, status: str = "ALIVE", timeout: float = ALIVE_TIMEOUT
    ) -> dict[str, Any]:
        """The row of a node's agent once it has a status; AssertionError if not in time."""
        until = time.monotonic() + timeout
        while True:
            rows = self.sql(f"SELECT * FROM agents WHERE id = 'i-{name}'")
            if rows and rows[0]["status"] == status:
                return rows[0]
            assert time.monotonic() < until, rows or self.sql("SELECT id, status FROM agents")
            time.sleep(1)


def listening(host: Host) -> set[tuple[str, int]]:
    """Address and port of every listening TCP socket beyond loopback."""
    found = set()
    for line in host.sh("ss -Hltn").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        address = address.strip("[]").partition("%")[0]
        if address not in ("127.0.0.1", "::1"):
            found.add((address, int(port)))
    return found


def join(host: Host, *words: str) -> Result:
    """`node join` with the file and passphrase that were carried to the host."""
    call = ["backendai-ctl", "node", "join", FILE, "--passphrase-file", PASSPHRASE, *words]
    return host.run(call, timeout=RECONFIGURE_TIMEOUT)


@contextmanager
def hosts_of(hosts: Hosts, bundle: Bundle, folder: Path, roles: Roles) -> Iterator[Site]:
    """Bare hosts on one network of their own, the medium with the bundle in each; no more yet."""
    with ExitStack() as stack:
        switch = stack.enter_context(switched({name: ADDRESSES[name] for name in roles}))
        site = Site({}, switch, bundle, dict(roles))
        for name in roles:
            docker, disk, volume = (
                folder / name / "docker",
                folder / name / "disk",
                folder / "volume",
            )
            for place in (docker, disk, volume):
                place.mkdir(parents=True, exist_ok=True)
            seen = "" if name == "storage1" else nfs_double.SEEN  # where the stand-in looks
            nfs = "storage1" in roles and name != "mgmt"
            site.hosts[name] = stack.enter_context(
                hosts.boot(
                    nfs_double.ROOT if nfs else "trixie",
                    binds={bundle.unpacked: f"{STICK}/{bundle.name}"},
                    writable={docker: own_servers.ENGINE, volume: f"{seen}{PATH}"},
                    netns=switch.spaces[name],
                    privileged=True,
                    upper=disk,
                    hostname=name,
                )
            )
            if nfs:
                (nfs_double.client if seen else nfs_double.server)(site.hosts[name])
        yield site
