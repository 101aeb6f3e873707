"""Promise: a Docker that a host already has is the one that sessions run in, and stays as it is.

Debian's docker.io with a container of somebody else's, while a whole site is installed, configured again
and removed. Ours is not even installed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import artefacts
import beside_others
import own_servers
import pytest
from host import Host
from scenario import Hosts, ctl

ROOT = "trixie-docker"
UNITS = "docker.service docker.socket containerd.service"
DAEMON = "/etc/docker/daemon.json"
# Everything in it but what Docker writes while it runs: logs, and states of containers and networks.
SETTINGS = """
find /etc/docker /usr/lib/systemd/system/docker* -type f -exec sha256sum {} +
stat -c '%n %U:%G %a %i' /var/lib/docker /run/docker.sock /run/containerd/containerd.sock
getent group docker
"""
SHOWN = "Id,MainPID,InvocationID,ActiveEnterTimestampMonotonic,NRestarts,DropInPaths,UnitFileState"
# The image is what the host itself is made of.
CONTAINER = """
tar -c -C / bin lib lib64 usr/bin usr/lib/x86_64-linux-gnu | docker import - theirs
docker run -d --name theirs theirs sleep infinity
"""
INSPECT = "docker inspect theirs -f '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}'"


def theirs(host: Host) -> str:
    """Their files, their processes and their container, as they were started."""
    return host.sh(f"{SETTINGS}\nsystemctl show --property={SHOWN} {UNITS}\n{INSPECT}")


@pytest.fixture(scope="module")
def host(
    hosts: Hosts, repositories: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """A host on which somebody runs a container; nothing of ours is there."""
    with beside_others.host_of_others(
        hosts, ROOT, "/var/lib/docker", repositories, tmp_path_factory
    ) as made:
        made.write(DAEMON, '{"bip": "172.29.0.1/24"}\n')
        made.sh(f"systemctl restart docker; {CONTAINER}", timeout=300)
        yield made


def test_a_site_runs_its_sessions_in_it_and_its_owner_never_notices(
    host: Host, dist: artefacts.Dist
) -> None:
    before = theirs(host)
    beside_others.install(host, dist)
    assert theirs(host) == before
    assert "No such file" in host.sh("ls /opt/backendai/servers/docker 2>&1 || :")
    state = ["dpkg-query", "-W", "-f", "${db:Status-Status}", "backendai-docker"]
    assert host.run(state).stdout in ("", "not-installed")


def test_the_agent_is_alive_with_it(host: Host) -> None:
    until = time.monotonic() + 120
    query = "SELECT id, status FROM agents"
    while "ALIVE" not in (rows := own_servers.sql(host, query, "backendai")):
        assert time.monotonic() < until, rows
        time.sleep(1)
    # Beside theirs the agent's own helper runs in it.
    assert "backendai-socket-relay" in host.sh("docker ps --format '{{.Names}}'")
    assert "backendai-socket-relay" in host.sh("backendai-ctl docker ps --format '{{.Names}}'")
    (engine,) = [part for part in ctl(host, "status")["servers"] if part["name"] == "docker"]
    assert (engine["unit"], engine["where"]) == ("docker.service", "local /run/docker.sock")
    said = host.sh("cat /etc/backendai/agent.toml")
    assert 'metadata-server-bind-host = "172.29.0.1"' in said


def test_doctor_names_the_lines_to_add(host: Host) -> None:
    found = {
        row["name"]: row for row in ctl(host, "doctor")["findings"] if row["group"] == "docker"
    }
    assert found["server"]["level"] == "ok" and "of this host" in found["server"]["message"]
    assert f'add to {DAEMON}: "live-restore": true' in found["restarts"]["hint"]
    assert '"log-opts": {"max-size": ' in found["logs"]["hint"]
    assert f'add to {DAEMON}: "icc": false' in found["sessions"]["hint"]


def test_a_removal_of_ours_leaves_it(host: Host) -> None:
    before = theirs(host)
    beside_others.remove(host)
    assert theirs(host) == before
