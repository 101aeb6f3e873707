"""Promise: whatever happens around them, maintainer scripts end well, and nothing is lost.

The gateway is the service of these scenarios, because it needs no server beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import artefacts
import pytest
from host import Host, Result
from scenario import Hosts
from suites import REPO, family

PACKAGES = tuple(
    f"backendai-{name}" for name in ("runtime", "common", "nftables", "ctl", "gateway")
)
UNIT = "backendai-gateway.service"
STATE = "/var/lib/backendai"
PENDING = f"{STATE}/ctl/pending"
CTL = "/opt/backendai/26.9.6/bin/backendai-ctl"
TIMEOUT = 300  # seconds
# Of what steps write outside of our folders.
OUTSIDE = (
    "/etc/systemd/system/vfroot-volume1.automount",
    "/etc/exports.d/backendai.exports",
)
# In place of the unit that loads rules of the firewall, for a host without nft.
RULES = """\
# Written by backendai-ctl
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true

[Install]
WantedBy=sysinit.target
"""
# What dpkg may call scripts with besides the usual; see each script's own table.
ODD = {
    "postinst": ("abort-upgrade 1", "", "nonsense"),
    "prerm": ("upgrade 2", "failed-upgrade 1", "", "nonsense"),
    "postrm": (
        *("upgrade 2", "failed-upgrade 1", "disappear x 1", "abort-install", "abort-upgrade 1"),
        *("", "nonsense"),
    ),
}


@pytest.fixture(scope="module")
def host(hosts: Hosts, dist: artefacts.Dist, repositories: Path) -> Iterator[Host]:
    """A Debian host whose site file was there first: the installation configured it."""
    with hosts.boot("trixie", binds={repositories: REPO}) as made:
        made.write("/etc/backendai/site.toml", '[site]\nname = "Trial"\n')
        manager = family("trixie", dist)
        manager.add_repository(made)
        done = manager.install(made, PACKAGES)
        assert done.stdout.count("backendai: ") == 1
        assert "backendai: this host is configured" in done.stdout
        yield made


@pytest.fixture(autouse=True)
def healthy(host: Host) -> Iterator[None]:
    """Every scenario leaves the host as it found it: configured, the service up."""
    yield
    assert host.run(["dpkg", "--audit"]).stdout == ""
    assert active(host)
    assert not exists(host, PENDING)


def active(host: Host) -> bool:
    return host.run(["systemctl", "is-active", UNIT]).stdout.strip() == "active"


def exists(host: Host, path: str) -> bool:
    return host.run(["test", "-e", path]).returncode == 0


def reinstall(host: Host, before: str = "true") -> Result:
    """Install the gateway again, in a mount namespace in which `before` was done."""
    script = f"{before}; exec dpkg -i {REPO}/deb/backendai-gateway_*.deb"
    return host.check(["unshare", "--mount", "/bin/sh", "-euc", script], timeout=TIMEOUT)


def pending(done: Result) -> str:
    """The one line that says what is pending."""
    lines = [line for line in done.stdout.splitlines() if "pending" in line]
    assert len(lines) == 1, done
    return lines[0]


def finish(host: Host) -> None:
    """What the next boot does."""
    assert exists(host, PENDING)
    host.check(["systemctl", "start", "backendai-reconfigure.service"], timeout=TIMEOUT)


@pytest.mark.parametrize("kind", ODD)
def test_scripts_end_well_whatever_they_are_called_with(host: Host, kind: str) -> None:
    main = host.check(["systemctl", "show", "-p", "MainPID", UNIT]).stdout
    for package in PACKAGES:
        script = f"/var/lib/dpkg/info/{package}.{kind}"
        for words in ODD[kind] if exists(host, script) else ():
            host.check([script, *words.split()])
    assert host.check(["systemctl", "show", "-p", "MainPID", UNIT]).stdout == main


@pytest.mark.parametrize("what", ["remove", "deconfigure"])
def test_a_removal_that_is_called_off_is_undone(host: Host, what: str) -> None:
    for kind, word in (("prerm", what), ("postinst", f"abort-{what}")):
        for package in PACKAGES:
            script = f"/var/lib/dpkg/info/{package}.{kind}"
            if exists(host, script):
                host.check([script, word])
        assert not active(host)
    finish(host)
    # The scripts had no dpkg around them that would have handled their trigger at its end.
    host.check(["dpkg", "--triggers-only", "--pending"], timeout=TIMEOUT)
    assert host.sh(f"systemctl is-enabled {UNIT} backendai.target") == "enabled\nenabled"


def test_a_removal_that_fails_is_undone_in_the_same_run(host: Host) -> None:
    prerm = "/var/lib/dpkg/info/backendai-gateway.prerm"
    host.check(["sed", "-i", "s/^exit 0$/exit 1/", prerm])
    done = host.run(["dpkg", "--remove", "backendai-gateway"], timeout=TIMEOUT)
    host.check(["sed", "-i", "s/^exit 1$/exit 0/", prerm])
    assert done.returncode and "backendai: this host is configured" in done.stdout, done


def test_installing_the_handler_alone_again_finishes_in_the_same_run(host: Host) -> None:
    host.sh(f"dpkg -i {REPO}/deb/backendai-ctl_*.deb", timeout=TIMEOUT)


def test_the_same_version_again_goes_through(host: Host) -> None:
    reinstall(host)


def test_another_version_restarts_the_service(host: Host) -> None:
    """Down and up again: dpkg treats both alike, and so do we."""
    main = host.check(["systemctl", "show", "-p", "MainPID", UNIT]).stdout
    host.sh(
        f"cd /var/tmp; dpkg-deb -R {REPO}/deb/backendai-gateway_*.deb x;"
        " sed -i 's/^Version: .*/Version: 26.9.6-0/' x/DEBIAN/control;"
        " dpkg-deb -Znone -b x older.deb; dpkg -i older.deb; rm -r x older.deb",
        timeout=TIMEOUT,
    )
    assert active(host)
    assert host.check(["systemctl", "show", "-p", "MainPID", UNIT]).stdout != main
    reinstall(host)


def test_an_image_that_is_built_is_configured_at_its_first_boot(host: Host) -> None:
    assert "no systemd is running here" in pending(reinstall(host, "mount -t tmpfs none /run"))
    finish(host)


def test_a_container_whose_systemd_does_not_answer_is_fine(host: Host) -> None:
    reinstall(host, "mount -t tmpfs none /run; mkdir -p /run/systemd/system")
    finish(host)


def test_a_full_disk_is_told(host: Host) -> None:
    full = f"mount -t tmpfs -o size=8k none {STATE}; dd if=/dev/zero of={STATE}/x 2>/dev/null || :"
    assert "No space left on device" in pending(reinstall(host, full))
    host.check(["backendai-ctl", "reconfigure"], timeout=TIMEOUT)


def test_a_kill_half_way_leaves_the_flag(host: Host) -> None:
    kill = f"printf '#!/bin/sh\\nkill -9 $$\\n' >/tmp/k; chmod +x /tmp/k; mount --bind /tmp/k {CTL}"
    reinstall(host, kill)
    finish(host)


def test_removal_stops_the_service_and_keeps_settings(host: Host) -> None:
    secret = host.sh("sha256sum /etc/backendai/gateway.json")
    host.check(["dpkg", "--remove", "backendai-gateway"], timeout=TIMEOUT)
    assert host.sh("systemctl list-units --no-legend 'backendai-gateway*'") == ""
    assert host.sh("sha256sum /etc/backendai/gateway.json") == secret
    reinstall(host)


def test_a_host_that_was_configured_stays_so_without_role_and_site_file(host: Host) -> None:
    """apt takes the role along with one component of it; another that comes back has to start."""
    host.sh("mv /etc/backendai/site.toml /var/tmp/")
    host.check(["dpkg", "--remove", "backendai-gateway"], timeout=TIMEOUT)
    assert "not configured" not in reinstall(host).stdout
    assert active(host)
    host.sh("mv /var/tmp/site.toml /etc/backendai/; backendai-ctl reconfigure", timeout=TIMEOUT)


def test_purge_removes_what_was_made_and_keeps_data(host: Host) -> None:
    secrets = host.sh("cd /etc/backendai/secrets; sha256sum *")
    for path in OUTSIDE:
        host.write(path, "# Written by backendai-ctl from site.toml\n")
    host.check(["dpkg", "--purge", *reversed(PACKAGES)], timeout=TIMEOUT)
    assert [path for path in OUTSIDE if exists(host, path)] == []
    left = host.sh("find /etc/backendai /etc/systemd -name '*backendai*' -o -name '*.json'")
    assert left == "/etc/backendai"
    assert not exists(host, f"{STATE}/ctl")
    assert host.sh("cd /etc/backendai/secrets; sha256sum *") == secrets
    files = " ".join(f"{REPO}/deb/{name}_*.deb" for name in PACKAGES)
    host.sh(f"dpkg -i {files}", timeout=TIMEOUT)
    assert host.sh("cd /etc/backendai/secrets; sha256sum *") == secrets


def test_rpm_configures_at_the_end_of_its_transaction(
    hosts: Hosts, dist: artefacts.Dist, repositories: Path
) -> None:
    with hosts.boot("el9", binds={repositories: REPO}) as made:
        made.write("/etc/backendai/site.toml", '[site]\nname = "Trial"\n')
        manager = family("el9", dist)
        manager.add_repository(made)
        manager.install(made, PACKAGES)
        assert active(made)
        # rpm knows no purge: rules of the firewall have to end with a removal.
        rules = "backendai-nft.service"
        made.write(f"/etc/systemd/system/{rules}", RULES)
        made.sh(f"systemctl daemon-reload; systemctl enable --now {rules}")
        made.check(["rpm", "-e", *PACKAGES], timeout=TIMEOUT)
        for asked, said in (("is-active", "inactive"), ("is-enabled", "disabled")):
            assert made.sh(f"systemctl {asked} {rules} || :") == said
        assert made.sh("systemctl is-system-running") == "running"
        assert exists(made, "/etc/backendai/secrets")
