"""A volume that the storage node keeps: exported, mounted, one number on both hosts, a dead server.

The tests follow each other. NFS is a server in user space and a stand-in for mount; see nfs_double.
"""

from __future__ import annotations

import json
import re
import time

import nfs_double
import own_servers
from host import Host
from scenario import changed, ctl
from site_with_nfs import ADDRESSES, PATH, Site

MOUNT, AUTOMOUNT = "vfroot-shared.mount", "vfroot-shared.automount"
EXPORTS = "/etc/exports.d/backendai.exports"
HEAL_TIMEOUT = 240  # seconds until services run again after the server came back
UNRELATED = ("manager", "webserver", "gateway", "appproxy-coordinator")


def active(host: Host, unit: str) -> bool:
    return host.run(["systemctl", "is-active", "--quiet", unit]).returncode == 0


def wait_active(host: Host, unit: str, timeout: float) -> None:
    until = time.monotonic() + timeout
    while not active(host, unit):
        assert time.monotonic() < until, host.run(["systemctl", "status", unit]).stdout
        time.sleep(1)


def storage_findings(host: Host) -> dict[str, dict[str, str]]:
    """What doctor says of volumes, by the name of the check; it must not take long."""
    done = host.run(["backendai-ctl", "doctor", "--json"], timeout=90)
    found = json.loads(done.stdout)["findings"]
    return {row["name"]: row for row in found if row["group"] == "storage"}


def test_the_storage_node_serves_exactly_the_nodes_that_need_it(site: Site) -> None:
    _, line = site.store.sh(f"cat {EXPORTS}").splitlines()
    path, client = line.split(" ")
    assert (path, client.partition("(")[0]) == (PATH, ADDRESSES["mgmt"])
    assert "rw,sync,no_subtree_check,sec=sys,root_squash,anonuid=1100,anongid=1100,fsid=" in client
    assert "vers3=n" in site.store.sh("cat /etc/nfs.conf.d/backendai.conf")
    assert active(site.store, "nfs-server.service")
    assert site.store.sh("systemctl is-enabled nfs-server rpcbind.socket || :").split() == [
        *("enabled", "masked")
    ]
    assert ctl(site.store, "storage", "export")["changes"] == []


def test_our_units_mount_it_where_it_is_needed(site: Site) -> None:
    assert active(site.mgmt, MOUNT)
    # Containers have no autofs: tests/vm shows that it works.
    site.mgmt.check(["systemctl", "is-enabled", AUTOMOUNT])
    assert PATH not in site.mgmt.sh("cat /etc/fstab 2>/dev/null || :")
    source, target, options = nfs_double.calls(site.mgmt)[0]
    assert (source, target) == (f"{ADDRESSES['store']}:{PATH}", PATH)
    assert {"vers=4.2", "hard", "_netdev"} <= set(options.split(","))
    (row,) = ctl(site.mgmt, "storage", "status")["volumes"]
    assert (row["mounted"], row["ok"]) == (True, True)
    assert site.store.run(["systemctl", "cat", MOUNT]).returncode != 0
    for unit in ("agent", "storage-proxy"):
        host = site.mgmt if unit == "agent" else site.store
        wait_active(host, f"backendai-{unit}.service", 240)


def test_one_user_with_one_number_from_both_hosts(site: Site) -> None:
    for host, name in ((site.mgmt, "mgmt"), (site.store, "store")):
        told = ctl(host, "storage", "check")
        assert (told["node"], told["ok"]) == (name, True)
        rows = {row["name"]: row["message"] for row in told["findings"]}
        assert rows["user"] == "bai is 1100:1100"
        assert rows["ids"] == "a file of bai belongs to 1100:1100"
        assert rows["use"] == "bai writes, reads, renames and locks"
    site.mgmt.check(["touch", f"{PATH}/from-mgmt"], user="bai")
    assert site.store.sh(f"stat -c %u:%g {PATH}/from-mgmt") == "1100:1100"
    assert site.store.sh(f"ls -A {PATH}").split() == ["from-mgmt", "version.txt"]


def test_servers_beside_an_agent_are_closed_to_its_sessions(site: Site) -> None:
    """By the ports that they have; those of Debian's may be of somebody else's servers."""
    rules = site.mgmt.sh(f"{own_servers.NFT} list table inet backendai")
    closed = set[int]()
    for found in re.findall(r"fib daddr type local tcp dport \{ ([^}]+) \} drop", rules):
        for first, _, last in (word.strip().partition("-") for word in found.split(",")):
            closed |= set(range(int(first), int(last or first) + 1))
    assert {*own_servers.PORTS.values(), 8121, 6001} <= closed
    assert not closed & {5432, 6379, 2379, 2380}


def test_another_run_changes_nothing(site: Site) -> None:
    assert changed(site.store) == []
    assert changed(site.mgmt) == []


def test_a_dead_server_blocks_nothing_and_doctor_names_it(site: Site) -> None:
    site.store.check(["systemctl", "stop", "nfs-server"])
    host = site.reboot("mgmt")  # ends once the boot has
    for name in UNRELATED:
        wait_active(host, f"backendai-{name}.service", 240)
    assert not active(host, MOUNT) and not active(host, "backendai-agent.service")
    apt = ["apt-get", "install", "-y", "-q", "--reinstall", "backendai-ctl"]
    assert host.check(apt, timeout=120).seconds < 100
    found = storage_findings(host)["mounts"]
    assert found["level"] == "fail"
    assert f"shared ({ADDRESSES['store']}:{PATH}) is not mounted" in found["message"]
    (row,) = ctl(host, "storage", "status", status=1)["volumes"]
    assert (row["ok"], row["message"]) == (False, "not mounted")
    assert host.sh(f"ls -A {PATH} 2>/dev/null || :") == ""  # nothing was written below the mount


def test_a_server_that_comes_back_heals_without_a_command(site: Site) -> None:
    site.store.check(["systemctl", "start", "nfs-server"])
    wait_active(site.mgmt, "backendai-agent.service", HEAL_TIMEOUT)
    assert active(site.mgmt, MOUNT)
    assert storage_findings(site.mgmt)["mounts"]["level"] == "ok"
    site.mgmt.check(["backendai-ctl", "status", "--wait", "240"], timeout=300)
