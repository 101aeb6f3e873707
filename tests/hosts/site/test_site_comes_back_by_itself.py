"""Promise: after a reboot everything is healthy again, without anybody doing anything."""

from __future__ import annotations

import own_servers
from site_host import SERVERS, SiteHost

# Where upstream's debug monitor of the storage proxy would listen. The kernel may give the port to an
# outgoing connection, and the monitor would wait for it for ever. A service may just have had it.
TAKEN = """
import socket, time
while True:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", 39300))
        taken.connect(("127.0.0.1", 8110))
        break
    except OSError:
        taken.close()
        time.sleep(0.1)
time.sleep(600)
"""


def test_everything_is_healthy_after_a_reboot(allinone: SiteHost) -> None:
    before = allinone.host.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1")
    host = allinone.reboot()
    assert host.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1") != before
    allinone.wait_healthy()
    assert allinone.inactive() == []
    assert allinone.network.attempts == set()


def test_killed_services_come_back(allinone: SiteHost) -> None:
    """Those of the servers as well, all at once."""
    host = allinone.host
    before = {name: own_servers.main_pid(host, name) for name in SERVERS}
    host.check(["systemctl", "kill", "--signal=KILL", "backendai-*.service"])
    allinone.wait_healthy()
    assert allinone.inactive() == []
    assert all(own_servers.main_pid(host, name) != pid for name, pid in before.items())


def test_a_service_starts_where_a_connection_has_the_port_of_its_debug_monitor(
    allinone: SiteHost,
) -> None:
    host = allinone.host
    python = ["/opt/backendai/current/bin/python", "-I", "-u", "-c", TAKEN]
    host.check(["systemd-run", "--unit=taken", "--", *python])
    try:
        host.sh("until ss -Htn sport = 39300 | grep -q .; do sleep 0.1; done", timeout=120)
        host.check(["systemctl", "restart", "backendai-storage-proxy"], timeout=120)
        assert allinone.inactive() == []
    finally:
        host.check(["systemctl", "stop", "taken"])
