"""Promise: units need nothing that systemd 249 lacks: a whole site runs on 247.

systemd 249, of Ubuntu 22.04, is not to be had as a package of Debian: 252 and 247 lie around it.
"""

from __future__ import annotations

from pathlib import Path

import own_servers
import pytest
from host import Host
from scenario import Hosts, disks
from site_host import HEALTHY_TIMEOUT, UNITS
from stack import COMPONENTS
from suites import REPO

PACKAGES = ("runtime", "common", "nftables", *COMPONENTS, "all-in-one")
INSTALL_TIMEOUT = 600  # seconds
UNKNOWN = "journalctl -b --no-pager -o cat | sed -n 's/.*Unknown key name .\\([A-Za-z]*\\).*/\\1/p'"
# Why they do no harm: see tests/unit/quality/test_units_fit_systemd_249.py.
IGNORED = {"PrivateIPC", "RestartSteps", "RestartMaxDelaySec"}


@pytest.mark.breadth
def test_a_whole_site_runs(
    hosts: Hosts, repositories: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        disks(tmp_path_factory, "older") as disk,
        hosts.boot(
            "bullseye",
            binds={repositories: REPO},
            writable={disk: own_servers.ENGINE},
            privileged=True,
        ) as host,
    ):
        assert host.sh("systemctl --version").startswith("systemd 247 ")
        _install(host)
        host.check(
            ["backendai-ctl", "status", "--wait", str(HEALTHY_TIMEOUT)],
            timeout=HEALTHY_TIMEOUT + 60,
        )
        host.check(["backendai-ctl", "doctor"])
        shown = host.sh(f"systemctl is-active {' '.join(UNITS)}").split()
        assert set(shown) == {"active"}
        assert set(host.sh(UNKNOWN).split()) == IGNORED


def _install(host: Host) -> None:
    """Without asking whether the host is what they are for; it is not."""
    files = " ".join(f"{REPO}/rpm/backendai-{name}-[0-9]*.rpm" for name in PACKAGES)
    done = host.sh(f"rpm -i --nodeps --nosignature {files}", timeout=INSTALL_TIMEOUT)
    assert "backendai: this host is configured" in done, done
