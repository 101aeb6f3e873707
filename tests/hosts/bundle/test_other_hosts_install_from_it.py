"""Promise: hosts that are not Debian 13 install our packages from the bundle, and check what they take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bundle_dist
import own_servers
import pytest
from bundle_dist import STICK, STRICT, Bundle
from host import Host, Result
from scenario import PYTHON, Hosts, changed, disks
from site_host import HEALTHY_LIMIT

COMPONENT = "client"
PACKAGES = {"backendai-client", "backendai-common", "backendai-runtime"}


@dataclass(frozen=True)
class Installed:
    host: Host
    checked: Result
    said: Result


def _installed(hosts: Hosts, bundle: Bundle, suite: str) -> Iterator[Installed]:
    folder = f"{STICK}/{bundle.name}"
    with hosts.boot(suite, binds={bundle.unpacked: folder}) as host:
        checked = bundle_dist.check(host, folder, bundle.fact("fingerprint"))
        yield Installed(host, checked, bundle_dist.install(host, folder, "--role", COMPONENT))


@pytest.fixture(scope="module")
def debian12(hosts: Hosts, bundle: Bundle) -> Iterator[Installed]:
    yield from _installed(hosts, bundle, "bookworm")


@pytest.fixture(scope="module")
def enterprise_linux(hosts: Hosts, bundle: Bundle) -> Iterator[Installed]:
    yield from _installed(hosts, bundle, "el9")


def test_debian_12_has_our_packages_and_they_work(debian12: Installed) -> None:
    names = debian12.host.sh("dpkg-query -W -f '${Package}\\n' 'backendai-*'").split()
    assert set(names) >= PACKAGES
    assert debian12.host.sh("dpkg --audit; dpkg --verify backendai-client") == ""
    assert debian12.host.check(["backend.ai", "--version"]).stdout


def test_debian_12_takes_nothing_of_debian_13(debian12: Installed) -> None:
    shown = debian12.host.sh("apt-cache policy nfs-kernel-server stunnel4 2>&1")
    assert shown.count("Candidate: (none)") == 2
    assert "backendai" not in debian12.host.sh("apt-get -s dist-upgrade | grep ^Inst || :")


def test_debian_12_updates_with_strict_defaults(debian12: Installed) -> None:
    said = debian12.host.check(STRICT)
    assert "W:" not in said.stdout + said.stderr, said


def test_enterprise_linux_has_our_packages_and_they_work(enterprise_linux: Installed) -> None:
    host = enterprise_linux.host
    names = host.check(["rpm", "-qa", "--qf", "%{NAME}\\n", "backendai-*"]).stdout.split()
    assert set(names) >= PACKAGES
    assert host.sh("rpm -V backendai-client backendai-common backendai-runtime") == ""
    assert host.check(["backend.ai", "--version"]).stdout


def test_enterprise_linux_checks_index_and_packages(enterprise_linux: Installed) -> None:
    host = enterprise_linux.host
    settings = set(host.sh("cat /etc/yum.repos.d/*.repo").splitlines())
    assert {"gpgcheck=1", "repo_gpgcheck=1"} <= settings
    assert not {"gpgcheck=0", "repo_gpgcheck=0"} & settings
    host.check(["dnf", "--releasever=9", "--refresh", "makecache"])


def test_enterprise_linux_may_take_from_its_other_sources_too(
    enterprise_linux: Installed, bundle: Bundle
) -> None:
    """The cure that install.sh names where a role needs packages of the distribution."""
    folder = f"{STICK}/{bundle.name}"
    words = ["--role", COMPONENT, "--role", "storage-proxy", "--other-sources"]
    said = bundle_dist.install(enterprise_linux.host, folder, *words)
    assert "installed:" in said.stdout
    assert enterprise_linux.host.check(["rpm", "-q", "backendai-storage-proxy"]).stdout


def test_every_installed_rpm_is_signed_by_the_key_of_the_release(
    enterprise_linux: Installed, bundle: Bundle
) -> None:
    host, key = enterprise_linux.host, bundle.fact("fingerprint")[-16:].lower()
    query = "%{NAME} %{DSAHEADER:pgpsig} %{RSAHEADER:pgpsig}\\n"
    for line in host.check(["rpm", "-qa", "--qf", query, "backendai-*"]).stdout.splitlines():
        assert f"Key ID {key}" in line
    files = f"{STICK}/{bundle.name}/rpm/packages/backendai-client-*.rpm"
    assert "digests signatures OK" in host.sh(f"rpmkeys -K {files}")


def test_both_say_what_they_will_do_first(debian12: Installed, enterprise_linux: Installed) -> None:
    for installed in (debian12, enterprise_linux):
        assert installed.said.stdout.startswith("No change yet."), installed.said
        assert "Fine: this bundle is as it was released." in installed.checked.stdout


@pytest.mark.parametrize("suite", ["bookworm", "el9"])
def test_a_management_node_brings_its_servers_along(
    suite: str, hosts: Hosts, bundle: Bundle
) -> None:
    """They are the site's own, and no package of the distribution is needed."""
    folder = f"{STICK}/{bundle.name}"
    with hosts.boot(suite, binds={bundle.unpacked: folder}, privileged=True) as host:
        said = bundle_dist.install(host, folder, "--role", "management-node")
        # Configured, or it would fail: by the packages' hook, or where rpm keeps scripts from the network
        # (the plugin unshare of rpm 4.20: "Network is unreachable"), by install.sh afterwards.
        assert "Done: " in said.stdout, said
        wait = ["backendai-ctl", "status", "--wait", str(HEALTHY_LIMIT)]
        host.check(wait, limit=HEALTHY_LIMIT + 60)
        for name in own_servers.NAMES:
            program = host.sh(f"readlink /proc/{own_servers.main_pid(host, name)}/exe")
            assert program.startswith(f"{own_servers.SERVERS}/{name}/"), program
        assert own_servers.sql(host, "SELECT count(*) FROM users", "backendai") != "0"
        host.check(["backendai-ctl", "doctor"])
        assert changed(host) == []


@pytest.mark.parametrize("suite", ["bookworm", "el9"])
def test_a_container_engine_comes_along(
    suite: str, hosts: Hosts, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It runs containers there, with the runtime's libraries."""
    folder = f"{STICK}/{bundle.name}"
    docker = "backendai-ctl docker"
    with (
        disks(tmp_path_factory, "engine") as disk,
        hosts.boot(
            suite,
            binds={bundle.unpacked: folder},
            writable={disk: own_servers.ENGINE},
            privileged=True,
        ) as host,
    ):
        bundle_dist.install(host, folder, "--role", "agent", "--role", "docker")
        only = ["--only", "create-user", "--only", "prepare-engine"]
        host.check(["backendai-ctl", "reconfigure", *only], limit=200)
        host.sh(f"tar -c -C / .{PYTHON.rpartition('/bin/')[0]} | {docker} import - one", limit=300)
        said = host.sh(f"{docker} run --rm one {PYTHON} -I -c 'print(6 * 7)'")
        assert said == "42"
        mapped = host.sh("cat /proc/$(systemctl show -P MainPID backendai-docker)/maps")
        code = [line for line in mapped.splitlines() if "x" in line.split()[1] and " /" in line]
        paths = {line.split()[-1] for line in code}
        assert paths and all(path.startswith("/opt/backendai/") for path in paths), paths
