"""A second management node: it uses the first one's servers, and migrations happen once.

What comes last in this folder: it leaves an old release's database behind.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import old_database as old
import own_servers
import pytest
from host import Host, Result
from scenario import changed
from site_of_nodes import ADDRESSES, Site

UNIT = "backendai-manager.service"
TIMEOUT = 400  # seconds


@pytest.fixture(scope="module")
def second(nodes: Site) -> Host:
    """A compute node that becomes a management node as well."""
    nodes.change(compute2=("compute", "management"))
    nodes.install("compute2")
    nodes.join("compute2")
    return nodes.hosts["compute2"]


def test_it_runs_a_manager_by_the_servers_of_the_first(nodes: Site, second: Host) -> None:
    nodes.healthy("mgmt", "compute2")
    units = " ".join(own_servers.UNITS.values())  # it has the packages
    assert second.sh(f"systemctl is-active {units} || :").split() == ["inactive"] * 3
    assert second.sh(f"ls -d {' '.join(own_servers.DATA.values())} 2>/dev/null || :") == ""
    rules = nodes.mgmt.sh("cat /etc/backendai/pg_hba.conf")
    where = f'"{ADDRESSES["compute2"]}/32"'
    assert f'host "backendai" "backendai" {where} scram-sha-256' in rules
    secrets = second.sh("ls /etc/backendai/secrets").split()
    assert "database-manager" in secrets and "etcd-root-password" not in secrets


def test_another_run_of_either_changes_nothing(nodes: Site, second: Host) -> None:
    for host in (nodes.mgmt, second):
        assert changed(host) == []
        host.check(["backendai-ctl", "doctor"])


def test_a_migration_that_both_begin_happens_once(nodes: Site, second: Host) -> None:
    both = (nodes.mgmt, second)
    for host in both:
        host.check(["systemctl", "stop", UNIT], timeout=120)
    old.prepare(nodes.mgmt)
    old.reset(nodes.mgmt)
    before = {name: len(rows) for name, rows in old.rows(nodes.mgmt).items()}
    with ThreadPoolExecutor(2) as together:

        def migrate(host: Host) -> Result:
            return host.check(old.MIGRATE, timeout=TIMEOUT)

        said = list(together.map(migrate, both))
    assert old.revision(nodes.mgmt) == old.HEAD
    dumps = [host.sh(f"ls {old.BACKUPS} 2>/dev/null || :").split() for host in both]
    assert sorted(map(len, dumps)) == [0, 1], said
    assert "Wait for another migration" in "".join(done.stderr for done in said)
    after = {name: len(rows) for name, rows in old.rows(nodes.mgmt).items()}
    assert (after["users"], after["kernels"]) == (before["users"], before["kernels"])
