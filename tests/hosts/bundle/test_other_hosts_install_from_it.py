"""Promise: hosts that are not Debian 13 install our packages from the bundle, and check what they take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bundle_dist
import pytest
from bundle_dist import STICK, STRICT, Bundle
from host import Host, Result
from scenario import Hosts

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
