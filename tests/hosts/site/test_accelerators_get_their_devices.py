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


def shown(site: SiteHost, *names: str, unit: str = AGENT) -> list[str]:
    words = [word for name in names for word in ("-P", name)]
    return site.host.check(["systemctl", "show", unit, *words]).stdout.splitlines()


@pytest.fixture(scope="module")
def plugged(allinone: SiteHost) -> Iterator[SiteHost]:
    """The site with the plugin, which came later."""
    before = shown(allinone, "MainPID")
    allinone.host.sh(f"{APT} install {PLUGIN}", timeout=300)
    try:
        assert shown(allinone, "MainPID") != before, "the agent started anew with it"
        yield allinone
    finally:
        allinone.host.sh(f"{APT} purge {PLUGIN}", timeout=300)
        changed(allinone.host)
        assert shown(allinone, "PrivateDevices") == ["yes"]
        assert "nvidia" not in "".join(shown(allinone, "DeviceAllow"))
        allinone.wait_healthy()


def test_the_agent_may_open_what_the_plugin_names(plugged: SiteHost) -> None:
    plugged.wait_healthy()
    assert shown(plugged, "PrivateDevices", "DevicePolicy") == ["no", "closed"]
    assert "char-nvidia* rw" in shown(plugged, "DeviceAllow")
    assert changed(plugged.host) == [], "a second run finds nothing"


def test_it_may_open_nothing_else(plugged: SiteHost) -> None:
    host = plugged.host
    (group,) = shown(plugged, "ControlGroup")
    host.sh("exec 3<>/dev/net/tun")  # anybody else may, so it is there
    refused = host.run(["/bin/sh", "-c", OPEN.format(group)])
    assert "Operation not permitted" in refused.stderr, refused


def test_no_other_unit_is_opened(plugged: SiteHost) -> None:
    for name in ("manager", "storage-proxy"):
        unit = f"backendai-{name}.service"
        assert shown(plugged, "PrivateDevices", "DevicePolicy", unit=unit) == ["yes", "closed"]


def test_doctor_says_what_the_host_lacks(plugged: SiteHost) -> None:
    doctor = plugged.host.run(["backendai-ctl", "doctor", "--json"], timeout=120)
    found = {row["name"]: row for row in json.loads(doctor.stdout)["findings"]}
    row = found[PLUGIN.removeprefix("backendai-")]
    assert row["level"] == "fail" and row["message"].startswith("no driver: /proc/devices"), row
    assert doctor.returncode == 1
