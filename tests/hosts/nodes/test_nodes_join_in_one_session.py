"""Promise: containers of one session on several nodes find each other, and nobody else gets among them.

As an ordinary user starts it, with the client; it is one session of two containers, one on each compute node.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import own_servers
import pytest
from host import Host, Result
from scenario import EMAIL, VENV_PYTHON, ctl
from site_of_nodes import ADDRESSES, Site
from switch import LINK

from backendai_serve.clusters import NETWORK, members_of

IMAGE = f"{ADDRESSES['mgmt']}:8140/stable/python:3.13-debian13"
MEMBERS = {"main1": "198.18.0.1", "sub1": "198.18.0.2"}
STRANGER = "10.77.0.98"  # no node
PORT = 6005  # of VXLAN, UDP
START_TIMEOUT = 300  # seconds
NAME, JOB = "over-nodes", "job-over-nodes"
RUN = "backendai-ctl docker exec --user 1100:1100 --env HOME=/home/work"
# Takes 4 MiB and says what they were.
TAKE = """
import hashlib, socket
server = socket.create_server(("", 7000))
told, _ = server.accept()
seen = hashlib.sha256()
while part := told.recv(65536):
    seen.update(part)
told.sendall(seen.hexdigest().encode())
"""
GIVE = """
import hashlib, os, socket, sys, time
data = os.urandom(4 << 20)
for _ in range(50):
    try:
        to = socket.create_connection((sys.argv[1], 7000), 5)
        break
    except OSError:
        time.sleep(0.2)
peer = to.getpeername()[0]
to.sendall(data)
to.shutdown(socket.SHUT_WR)
print(to.recv(64).decode() == hashlib.sha256(data).hexdigest(), peer)
"""
# What comes to a port by UDP within some seconds.
HEAR = """
import socket, time
heard, ends = set(), time.monotonic() + 60
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.bind(("", 7007))
ear.settimeout(1)
while time.monotonic() < ends:
    try:
        said = ear.recv(100).decode()
    except TimeoutError:
        continue
    if said == "end":
        break
    heard.add(said)
print(" ".join(sorted(heard)))
"""
# A frame as a node sends it: for sub1, as if from main1.
SAY = """
import socket, struct, sys
to, vni, source, said = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4].encode()
main, sub = bytes([198, 18, 0, 1]), bytes([198, 18, 0, 2])
udp = struct.pack("!HHHH", 7007, 7007, 8 + len(said), 0) + said
head = struct.pack("!BBHHHBBH", 69, 0, 20 + len(udp), 1, 0, 64, 17, 0) + main + sub
total = sum(struct.unpack("!10H", head))
total = (total & 0xFFFF) + (total >> 16)
head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
frame = b"\\2\\0" + sub + b"\\2\\0" + main + b"\\x08\\0" + head + udp
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind((source, 0))
try:
    out.sendto(struct.pack("!II", 8 << 24, vni << 8) + frame, (to, 6005))
except PermissionError:
    print("refused")
"""
LEFT = "ls /sys/class/net; ss -Hlun | sort; backendai-ctl docker network ls --format '{{.Name}}' | sort"


# An agent to another resource group.
MOVE = """
UPDATE agents SET scaling_group = name, resource_group_id = scaling_groups.id
FROM scaling_groups WHERE name = '{}' AND agents.id = 'i-compute2'
"""


@dataclass(frozen=True)
class Cluster:
    """A running session: its number, and each container's host and id by its name."""

    session: str
    containers: dict[str, tuple[Host, str]]
    site: Site

    def run(self, name: str, program: str, *words: str) -> str:
        """What a program of Python prints in a container, as its user."""
        host, container = self.containers[name]
        call = [*RUN.split(), container, "/usr/bin/python3", "-c", program, *words]
        return host.check(call, timeout=120).stdout.strip()

    def sh(self, name: str, script: str) -> str:
        host, container = self.containers[name]
        return host.check([*RUN.split(), container, "sh", "-c", script], timeout=120).stdout.strip()


def client(site: Site, *words: str, user: str = "ann", timeout: float = 180) -> Result:
    """`backend.ai WORDS` of a person, on the management node."""
    home, email, password = f"/srv/people/{user}", f"{user}@example.org", "ann-Has-1-password"
    if user == "admin":
        email, password = EMAIL, site.mgmt.sh("cat /etc/backendai/secrets/admin-password")
    site.mgmt.sh(f"mkdir -p {home}")
    return site.client(*words, stdin=f"{email}\n{password}\n", home=home, timeout=timeout)


def told(site: Site, *words: str, user: str = "ann", timeout: float = 180) -> str:
    done = client(site, *words, user=user, timeout=timeout)
    assert done.returncode == 0, done
    return done.stdout


def containers(host: Host) -> list[str]:
    """Ids of the containers of sessions."""
    label = "label=ai.backend.session-id"
    found = host.check(["backendai-ctl", "docker", "ps", "-q", "--filter", label])
    return found.stdout.split()


@pytest.fixture(scope="module")
def ready(nodes: Site) -> Iterator[Site]:
    """All nodes have joined, both compute nodes are in one resource group, and Ann has an account."""
    if nodes.hosts["compute1"].run(["test", "-e", "/etc/backendai/node"]).returncode:
        nodes.healthy("mgmt")
        nodes.join("storage1", "compute1", "compute2")
    nodes.healthy()
    for name in ("compute1", "compute2"):
        nodes.agent(name)
    own_servers.sql(nodes.mgmt, MOVE.format("default"), "backendai")
    told(nodes, "login", user="admin")
    words = (
        "admin",
        "user",
        "add",
        "default",
        "ann@example.org",
        "ann-Has-1-password",
        "-u",
        "ann",
    )
    told(nodes, *words, user="admin")
    told(nodes, "login")
    yield nodes
    own_servers.sql(nodes.mgmt, MOVE.format("gpu"), "backendai")


@pytest.fixture(scope="module")
def before(ready: Site) -> dict[str, str]:
    return {name: ready.hosts[name].sh(LEFT) for name in ("compute1", "compute2")}


@pytest.fixture(scope="module")
def cluster(ready: Site, before: dict[str, str]) -> Iterator[Cluster]:
    size = ["-r", "cpu=1", "-r", "mem=256m", "--no-reuse"]
    over = ["--cluster-mode", "multi_node", "--cluster-size", "2"]
    told(ready, "session", "create", IMAGE, "--name", NAME, *size, *over, timeout=START_TIMEOUT)
    rows = json.loads(told(ready, "--output=json", "session", "list"))["items"]
    (row,) = [row for row in rows if row["name"] == NAME]
    assert row["status"] == "RUNNING", (row, ready.mgmt.sh("journalctl -u backendai-manager -n 60"))
    found = {}
    for name in ("compute1", "compute2"):
        host = ready.hosts[name]
        (container,) = containers(host)
        found[host.sh(f"backendai-ctl docker exec {container} hostname")] = (host, container)
    yield Cluster(str(row["session_id"]), found, ready)
    client(ready, "session", "destroy", "--forced", NAME)  # a test may have done it


def test_each_knows_the_other_by_name(cluster: Cluster) -> None:
    assert set(cluster.containers) == set(MEMBERS)
    for name in MEMBERS:
        hosts = cluster.sh(name, 'echo "$BACKENDAI_CLUSTER_HOSTS"').split(",")
        assert sorted(hosts) == ["main1", "sub1"], "upstream's order is the database's"
        for other, address in MEMBERS.items():
            assert cluster.sh(name, f"getent ahostsv4 {other}").split()[0] == address


def test_they_exchange_data(cluster: Cluster) -> None:
    for taker, giver in (("sub1", "main1"), ("main1", "sub1")):
        host, container = cluster.containers[taker]
        call = [*RUN.split(), "-d", container, "/usr/bin/python3", "-c", TAKE]
        host.check(call)
        assert cluster.run(giver, GIVE, taker) == f"True {MEMBERS[taker]}"


def test_packets_are_as_large_as_they_fit(cluster: Cluster) -> None:
    host, _ = cluster.containers["main1"]
    between = int(host.sh(f"cat /sys/class/net/{LINK}/mtu"))
    assert cluster.sh("main1", "cat /sys/class/net/baimulti0/mtu") == str(between - 50)


def test_ssh_leads_from_one_to_the_other(cluster: Cluster) -> None:
    assert cluster.sh("main1", "ssh sub1 hostname") == "sub1"
    assert cluster.sh("sub1", "ssh main1 hostname") == "main1"


def test_nobody_sends_into_it_but_nodes(cluster: Cluster) -> None:
    """Nor does a program of a node that has containers, or a container of another session."""
    site, (host, container) = cluster.site, cluster.containers["sub1"]
    node = next(n for n, h in site.hosts.items() if h is host)
    other = next(h for n, h in site.hosts.items() if n.startswith("compute") and h is not host)
    agents = [(name, f"tcp://{ADDRESSES[node]}:6001") for name in MEMBERS]
    vni = str(members_of(cluster.session, agents, NETWORK)[1]["vni"])
    file = "/tmp/heard"
    script = f"{RUN} {container} /usr/bin/python3 -c '{HEAR}' >{file} 2>&1"
    host.check(["systemd-run", "--quiet", "--unit=hears", "sh", "-c", script])
    time.sleep(3)
    mgmt, say = site.mgmt, [VENV_PYTHON, "-I", "-c", SAY, ADDRESSES[node], vni]
    mgmt.check(["ip", "address", "add", f"{STRANGER}/24", "dev", LINK])
    try:
        mgmt.check([*say, STRANGER, "stranger"])
    finally:
        mgmt.check(["ip", "address", "del", f"{STRANGER}/24", "dev", LINK])
    own = next(a for n, a in ADDRESSES.items() if site.hosts.get(n) is other)
    assert other.check([*say, own, "program"]).stdout.strip() == "refused"
    apart = ["backendai-ctl", "docker", "run", "--rm", IMAGE, "/usr/bin/python3", "-c", SAY]
    for where in (host, other):
        where.check([*apart, ADDRESSES[node], vni, "0.0.0.0", "container"], timeout=120)
    mgmt.check([*say, ADDRESSES["mgmt"], "node"])
    mgmt.check([*say, ADDRESSES["mgmt"], "end"])
    host.sh("until ! systemctl is-active --quiet hears; do sleep 0.3; done")
    assert host.sh(f"cat {file}") == "node"


def test_a_batch_job_uses_all_of_its_nodes(cluster: Cluster, ready: Site) -> None:
    """The session before it ends first: each node has room for one container."""
    client(ready, "session", "destroy", "--forced", NAME)
    for name in ("compute1", "compute2"):
        ready.hosts[name].sh(f'until [ -z "$({_PS})" ]; do sleep 1; done')
    size = ["-r", "cpu=1", "-r", "mem=256m", "--no-reuse"]
    over = ["--cluster-mode", "multi_node", "--cluster-size", "2"]
    job = 'for i in $(seq 50); do ssh sub1 echo "on \\$(hostname)" && break; sleep 1; done'
    batch = ["--type", "batch", "--startup-command", job, "--enqueue-only"]
    told(ready, "session", "create", IMAGE, "--name", JOB, *size, *over, *batch)
    until = time.monotonic() + START_TIMEOUT
    status = f"SELECT id, status, result FROM sessions WHERE name = '{JOB}'"
    while (row := ready.sql(status)[0])["status"] != "TERMINATED":
        assert time.monotonic() < until, row
        time.sleep(2)
    assert row["result"].lower() == "success", row
    assert "on sub1" in told(ready, "session", "logs", row["id"])


_PS = "backendai-ctl docker ps -q --filter label=ai.backend.session-id"


def test_an_acceptance_tries_it(cluster: Cluster) -> None:
    """After the job, for each node has room for one container."""
    rows = ctl(cluster.site.mgmt, "accept", timeout=600)["outcomes"]
    assert [row for row in rows if row["level"] != "ok"] == []
    tried = {row["name"]: row["message"] for row in rows if row["group"] == "cluster default"}
    assert list(tried) == ["containers", "exchange", "end"]
    assert set(re.findall(r"on (\w+)", tried["containers"])) == {"compute1", "compute2"}


def test_nothing_is_left_of_them(cluster: Cluster, before: dict[str, str]) -> None:
    for name, was in before.items():
        host = cluster.site.hosts[name]
        until = time.monotonic() + 60
        while (now := host.sh(LEFT)) != was:
            assert time.monotonic() < until, (now, was)
            time.sleep(1)


def test_doctor_notices_what_is_missing(ready: Site) -> None:
    host = ready.hosts["compute1"]

    def said() -> str:
        return host.run(["backendai-ctl", "doctor"]).stdout

    assert "/run/backendai-links.sock" not in said()
    host.sh("systemctl stop backendai-links.socket")
    assert "/run/backendai-links.sock: Connection refused" in said()
    found = host.check(["backendai-ctl", "reconfigure", "--dry-run"]).stdout
    assert "backendai-links.socket" in found
    host.check(["backendai-ctl", "reconfigure", "--only", "link-sessions"], timeout=120)
    assert "/run/backendai-links.sock" not in said()
