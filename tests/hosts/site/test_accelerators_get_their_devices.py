"""Promise: a plugin of accelerators opens its devices to the agent when it is installed, and nothing else.

No host here has an accelerator: the rules are looked at, and tried with a device that no plugin names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scenario import changed
from site_host import SiteHost

PLUGIN = "backendai-accelerator-cuda-open"
AGENT = "backendai-agent.service"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -y"
OPEN = "echo $$ >/sys/fs/cgroup{}/cgroup.procs; exec 3<>/dev/net/tun"


def shown(site: SiteHost, name: str, unit: str = AGENT) -> str:
    return site.host.check(["systemctl", "show", unit, "-P", name]).stdout.strip()


@pytest.fixture(scope="module")
def plugged(allinone: SiteHost) -> Iterator[SiteHost]:
    """The site with the plugin, which came later."""
    before = shown(allinone, "MainPID")
    allinone.host.sh(f"{APT} install {PLUGIN}", timeout=300)
    try:
        assert shown(allinone, "MainPID") != before, "the agent started anew with it"
        yield allinone
    finally:
        with_it = shown(allinone, "MainPID")
        allinone.host.sh(f"{APT} purge {PLUGIN}", timeout=300)
        assert shown(allinone, "MainPID") != with_it, "and without it"
        assert shown(allinone, "PrivateDevices") == "yes"
        assert "nvidia" not in shown(allinone, "DeviceAllow")
        assert changed(allinone.host) == []
        allinone.wait_healthy()


def test_the_agent_may_open_what_the_plugin_names(plugged: SiteHost) -> None:
    plugged.wait_healthy()
    assert (shown(plugged, "PrivateDevices"), shown(plugged, "DevicePolicy")) == ("no", "closed")
    allowed = shown(plugged, "DeviceAllow").splitlines()
    assert {"char-nvidia* rw", "char-nvidia-uvm rw"} <= set(allowed)
    assert changed(plugged.host) == [], "a second run finds nothing"


def test_it_may_open_nothing_else(plugged: SiteHost) -> None:
    host = plugged.host
    group = shown(plugged, "ControlGroup")
    host.sh("exec 3<>/dev/net/tun")  # anybody else may, so it is there
    refused = host.run(["/bin/sh", "-c", OPEN.format(group)])
    assert "Operation not permitted" in refused.stderr, refused


def test_no_other_unit_is_opened(plugged: SiteHost) -> None:
    for name in ("manager", "storage-proxy"):
        unit = f"backendai-{name}.service"
        assert shown(plugged, "PrivateDevices", unit) == "yes"
        assert shown(plugged, "DevicePolicy", unit) == "closed"


def test_doctor_says_what_the_host_lacks(plugged: SiteHost) -> None:
    doctor = plugged.host.run(["backendai-ctl", "doctor", "--json"], timeout=120)
    found = {row["name"]: row for row in json.loads(doctor.stdout)["findings"]}
    row = found[PLUGIN.removeprefix("backendai-")]
    assert row["level"] == "fail" and "driver" in row["message"], row  # that of the machine, if any
    assert doctor.returncode == 1
