"""Promise: after a reboot everything is healthy again, without anybody doing anything."""

from __future__ import annotations

from site_host import SiteHost


def test_everything_is_healthy_after_a_reboot(allinone: SiteHost) -> None:
    before = allinone.host.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1")
    host = allinone.reboot()
    assert host.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1") != before
    allinone.wait_healthy()
    assert allinone.inactive() == []
    assert allinone.network.attempts == set()


def test_killed_services_come_back(allinone: SiteHost) -> None:
    allinone.host.check(["systemctl", "kill", "--signal=KILL", "backendai-*.service"])
    allinone.wait_healthy()
    assert allinone.inactive() == []
