"""Promise: servers that a host already has, and its podman, stay as they are, and the site is whole.

PostgreSQL, Valkey and etcd are Debian's, on their usual ports, in use by others while a whole site is
installed, configured again and removed. Nobody who looks at their settings, their processes, their data
or their counts of callers can tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import artefacts
import beside_others
import own_servers
import pytest
from host import Host
from scenario import Hosts, ctl

ROOT = "trixie-servers"
SERVERS = ("postgresql@17-main", "valkey-server", "etcd")
SETTINGS = (
    *("/etc/postgresql", "/etc/postgresql-common", "/etc/valkey"),
    *("/etc/default/etcd", "/etc/default/valkey-server"),
    *("/usr/bin/docker", "/etc/containers"),
)
DATA = ("/var/lib/postgresql", "/var/lib/valkey", "/var/lib/etcd")
DROP_IN = "/etc/systemd/system/{}.service.d/theirs.conf"
# They stay connected: a server that is restarted, or only reloaded into other rules, loses them.
USERS = {
    "postgresql": "runuser -u postgres -- psql -d theirs -c 'SELECT pg_sleep(7200)'",
    "valkey": "valkey-cli subscribe theirs",
    "etcd": "etcdctl watch theirs",
}
LOG_CALLERS = "log_connections = on\nlog_statement = all\n"
DUMP = "cd /; runuser -u postgres -- pg_dumpall | grep -v '^.\\(un\\)\\?restrict '"
IMAGES = "docker images --no-trunc --format '{{.ID}} {{.Repository}}'"
# overlayfs does not lie on overlayfs.
STORAGE = """\
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
"""
SHOWN = "Id,MainPID,InvocationID,ActiveEnterTimestampMonotonic,NRestarts,FragmentPath,DropInPaths"
# etcd counts what it is asked, and tells it to who asks without a client.
METRICS = """
exec 3<>/dev/tcp/127.0.0.1/2379
printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3
grep -E '^(grpc_server_started_total|etcd_network_client_grpc_received_bytes_total)' <&3
"""


def settings(host: Host) -> str:
    """Files of theirs that are not written while a server runs: name, owner, mode, time and content."""
    places = " ".join(SETTINGS)
    files = f"find {places} -printf '%p %u:%g %m %T@\\n' | sort"
    sums = f"find {places} -type f -exec sha256sum {{}} + | sort"
    owners = f"stat -c '%n %U:%G %a' {' '.join(DATA)}"
    return host.sh(f"{files}; {sums}; {owners}; systemctl cat {' '.join(SERVERS)}")


def processes(host: Host) -> str:
    """Which start of them runs, and since when; the users who were connected from the beginning."""
    shown = host.sh(f"systemctl show --property={SHOWN} {' '.join(SERVERS)}")
    users = [f"user-{name}.service" for name in USERS]
    return shown + host.sh(f"systemctl show --property=Id,ActiveState,MainPID {' '.join(users)}")


def content(host: Host) -> dict[str, str]:
    """What each of them answers. etcd's answer has the number of its latest change."""
    return {
        "postgresql": host.sh(DUMP),
        "valkey": host.sh("valkey-cli dbsize; valkey-cli get theirs; valkey-cli config get '*'"),
        "podman": host.sh(IMAGES),
        "etcd": host.sh(
            "etcdctl get --prefix '' --write-out=json; etcdctl auth status; etcdctl user list"
        ),
    }


def callers(host: Host) -> dict[str, str]:
    """How often each was called, without a call that would count itself."""
    journal = "/var/log/postgresql/postgresql-17-main.log"
    count = "valkey-cli info stats | tr -d '\\r' | sed -n 's/^total_connections_received://p'"
    return {
        "postgresql": host.sh(f"grep -c -e 'connection received' -e FATAL {journal} || :"),
        "valkey": host.sh(count),
        "etcd": host.check(["bash", "-euc", METRICS]).stdout,
    }


@pytest.fixture(scope="module")
def host(
    hosts: Hosts, repositories: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """A host on which others use servers of their own; nothing of ours is there."""
    with beside_others.host_of_others(
        hosts, ROOT, own_servers.ENGINE, repositories, tmp_path_factory
    ) as made:
        made.write("/etc/postgresql/17/main/conf.d/theirs.conf", LOG_CALLERS)
        for name in SERVERS:
            made.write(DROP_IN.format(name), "[Service]\nEnvironment=THEIRS=yes\n")
        made.sh(f"systemctl daemon-reload; systemctl restart {' '.join(SERVERS)}", timeout=120)
        made.sh(
            "cd /; runuser -u postgres -- createdb theirs\n"
            "runuser -u postgres -- psql -q -d theirs -c"
            " 'CREATE TABLE things AS SELECT 1 AS id, $$kept$$ AS name'\n"
            "valkey-cli set theirs kept; etcdctl put theirs kept"
        )
        made.write("/etc/containers/storage.conf", STORAGE)
        made.sh(
            "touch /etc/containers/nodocker; tar -c -C /etc os-release | docker import - theirs"
        )
        for name, call in USERS.items():
            start = f"systemd-run --quiet --unit=user-{name} --working-directory=/"
            made.sh(f"{start} -- {call}")
        made.sh('until [ "$(valkey-cli pubsub numsub theirs | tail -1)" = 1 ]; do sleep 0.1; done')
        yield made


def test_a_site_beside_them_is_healthy_and_they_never_notice(
    host: Host, dist: artefacts.Dist
) -> None:
    data, before = content(host), (settings(host), processes(host))
    called = callers(host)
    beside_others.install(host, dist)

    now = callers(host)
    # The looks of this test itself: one call of valkey-cli each.
    assert int(now.pop("valkey")) == int(called.pop("valkey")) + 1
    assert now == called
    assert (settings(host), processes(host)) == before
    assert content(host) == data
    assert "things" in data["postgresql"] and "kept" in data["valkey"]
    assert "theirs" in data["podman"]


def test_the_sites_own_servers_are_others_on_ports_of_their_own(host: Host) -> None:
    listening = host.sh("ss -Hltn | awk '{print $4}'").split()
    for port in (*own_servers.PORTS.values(), 5432, 6379, 2379):
        assert f"127.0.0.1:{port}" in listening, port
    assert "theirs" not in own_servers.sql(host, "SELECT datname FROM pg_database")
    assert own_servers.valkey(host, "exists theirs") == "0"
    assert own_servers.etcdctl(host, "get theirs") == ""
    backing = {part["name"]: part["where"] for part in ctl(host, "status")["servers"]}
    for name, port in own_servers.PORTS.items():
        assert str(port) in backing[name], backing


def test_what_calls_itself_docker_is_not_taken_for_one(host: Host) -> None:
    (engine,) = [part for part in ctl(host, "status")["servers"] if part["name"] == "docker"]
    assert engine["unit"] == "backendai-docker.service" and engine["ok"], engine
    assert "podman" in host.sh("docker --version")


def test_a_restart_of_theirs_is_no_matter_of_ours(host: Host) -> None:
    units = list(own_servers.UNITS.values())
    shown = ["systemctl", "show", "--property=Id,InvocationID,ActiveState", *units]
    before = host.check(shown).stdout
    host.sh(f"systemctl restart {' '.join(SERVERS)}", timeout=120)
    beside_others.wait_healthy(host)
    assert host.check(shown).stdout == before


def test_a_removal_of_ours_leaves_them(host: Host) -> None:
    data, before = content(host), (settings(host), processes(host))
    beside_others.remove(host)
    assert json.dumps(content(host)) == json.dumps(data)
    assert (settings(host), processes(host)) == before
    listening = host.sh("ss -Hltn | awk '{print $4}'").split()
    assert not {f"127.0.0.1:{port}" for port in own_servers.PORTS.values()} & set(listening)
