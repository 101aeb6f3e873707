"""Promise: a host is up when it is up, however long its services wait for those of other hosts."""

from __future__ import annotations

from pathlib import Path

import artefacts
from host import Host
from scenario import SITE_PATH, Hosts
from suites import REPO, family

PACKAGES = tuple(f"backendai-{name}" for name in ("runtime", "common", "ctl", "gateway"))
UNIT = "backendai-gateway.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/slow.conf"
PENDING = "/var/lib/backendai/ctl/pending"
BOOT_TIMEOUT = 40  # seconds, on a machine that does other things too


def slow(host: Host, seconds: int) -> None:
    """Let the service take its time, as one does whose manager is away."""
    host.write(DROP_IN, f"[Service]\nExecStartPre=/bin/sleep {seconds}\n")
    host.check(["systemctl", "daemon-reload"])


def state(host: Host, unit: str) -> str:
    return host.run(["systemctl", "is-active", unit]).stdout.strip()


def test_multi_user_is_reached_while_a_service_still_starts(
    hosts: Hosts, dist: artefacts.Dist, repositories: Path
) -> None:
    """Of a boot the part that matters: all that multi-user.target wants is started in one go."""
    with hosts.boot("trixie", binds={repositories: REPO}) as host:
        host.write(SITE_PATH, '[site]\nname = "Trial"\n')
        manager = family("trixie", dist)
        manager.add_repository(host)
        manager.install(host, PACKAGES)
        assert state(host, UNIT) == "active"
        # Who starts everything waits for it, as before.
        host.check(["systemctl", "stop", "backendai.target", UNIT])  # the target waits for none
        assert state(host, UNIT) == "inactive"
        slow(host, 5)
        host.check(["systemctl", "start", "backendai.target"], timeout=60)
        assert state(host, UNIT) == "active"

        slow(host, 150)
        host.sh(f"touch {PENDING}")  # what is not configured yet is no reason to wait either
        host.check(["systemctl", "stop", "multi-user.target", "backendai.target"])
        host.check(["systemctl", "start", "multi-user.target"], timeout=BOOT_TIMEOUT)
        for unit in (UNIT, "backendai-reconfigure.service"):
            assert state(host, unit) == "activating", unit
