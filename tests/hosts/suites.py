"""What differs between the kinds of hosts: how packages are installed, checked and removed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
from artefacts import Dist
from host import Host, Result

REPO = "/repo"  # where hosts see the repositories
INSTALL_TIMEOUT = 600  # seconds
DEBIAN = ("bookworm", "trixie")
SUITES = (*DEBIAN, "el9")
# Debian 12 lies between the newest and the most different: what runs on every suite runs there with --all.
PARAMETERS = [pytest.param("bookworm", marks=pytest.mark.breadth), "trixie", "el9"]


@dataclass(frozen=True)
class Family(ABC):
    """A package manager; ``names`` are our packages, ``files`` their files in the host."""

    names: tuple[str, ...]
    files: tuple[str, ...]

    # Paths (with all below) that hosts keep for themselves once packages came and went.
    keeps: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def add_repository(self, host: Host) -> None:
        """Make the offline repository known to the host, and no other."""

    @abstractmethod
    def install(self, host: Host, names: Sequence[str] = ()) -> Result:
        """Install these packages from the repository, with what they need; all without names."""

    @abstractmethod
    def install_files(self, host: Host) -> Result:
        """Install everything from package files, with the low-level tool."""

    @abstractmethod
    def verify(self, host: Host) -> str:
        """Installed files that differ from their package; empty when all is well."""

    @abstractmethod
    def purge(self, host: Host) -> Result:
        """Remove everything of ours."""

    @abstractmethod
    def installed(self, host: Host) -> Sequence[str]:
        """Names of our packages that the host's database still knows, in any state."""


class Debian(Family):
    """dpkg and apt."""

    keeps = (
        "/etc/apt/sources.list.d/backendai.list",  # written by add_repository
        "/var/cache/apt",
        "/var/cache/debconf",
        "/var/lib/apt",
        "/var/lib/dpkg",
        "/var/log/alternatives.log",
        "/var/log/apt",
        "/var/log/dpkg.log",
    )

    def add_repository(self, host: Host) -> None:
        line = f"deb [trusted=yes] file:{REPO}/deb ./\n"
        host.write("/etc/apt/sources.list.d/backendai.list", line)
        host.check(["apt-get", "update", "-q"])

    def install(self, host: Host, names: Sequence[str] = ()) -> Result:
        call = ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
        return host.check([*call, *(names or self.names)], timeout=INSTALL_TIMEOUT)

    def install_files(self, host: Host) -> Result:
        return host.check(["dpkg", "-i", *self.files], timeout=INSTALL_TIMEOUT)

    def verify(self, host: Host) -> str:
        audit = host.check(["dpkg", "--audit"]).stdout
        result = host.run(["dpkg", "--verify", *self.names], timeout=INSTALL_TIMEOUT)
        return f"{audit}{result.stdout}{result.stderr}".strip()

    def purge(self, host: Host) -> Result:
        return host.check(["dpkg", "--purge", *self.names], timeout=INSTALL_TIMEOUT)

    def installed(self, host: Host) -> Sequence[str]:
        return host.sh("dpkg-query -W -f '${Package}\\n' 'backendai-*' 2>/dev/null || :").split()


class Rpm(Family):
    """rpm and dnf."""

    keeps = (
        "/etc/yum.repos.d",
        "/usr/lib/sysimage/libdnf5",
        "/var/cache/dnf",
        "/var/cache/libdnf5",
        "/var/lib/dnf",
        "/var/lib/rpm",
        "/var/log/dnf",
        "/var/log/hawkey.log",
    )

    def add_repository(self, host: Host) -> None:
        text = f"[backendai]\nname=Backend.AI\nbaseurl=file://{REPO}/rpm\ngpgcheck=0\n"
        host.write("/etc/yum.repos.d/backendai.repo", text)

    def install(self, host: Host, names: Sequence[str] = ()) -> Result:
        call = ["dnf", "-y", "-q", "--releasever=9", "--setopt=install_weak_deps=False", "install"]
        return host.check([*call, *(names or self.names)], timeout=INSTALL_TIMEOUT)

    def install_files(self, host: Host) -> Result:
        return host.check(["rpm", "-i", "--nosignature", *self.files], timeout=INSTALL_TIMEOUT)

    def verify(self, host: Host) -> str:
        result = host.run(["rpm", "-V", *self.names], timeout=INSTALL_TIMEOUT)
        return f"{result.stdout}{result.stderr}".strip()

    def purge(self, host: Host) -> Result:
        return host.check(["rpm", "-e", *self.names], timeout=INSTALL_TIMEOUT)

    def installed(self, host: Host) -> Sequence[str]:
        return host.check(["rpm", "-qa", "--qf", "%{NAME}\\n", "backendai-*"]).stdout.split()


def family(suite: str, dist: Dist) -> Family:
    """How packages are handled on ``suite``: all of ours but those of roles."""
    dist = dist.without_roles()
    if suite in DEBIAN:
        return Debian(dist.deb_names, tuple(f"{REPO}/deb/{deb.name}" for deb in dist.debs))
    return Rpm(dist.rpm_names, tuple(f"{REPO}/rpm/{rpm.name}" for rpm in dist.rpms))
