"""A whole site on a host on which others were first: installed by its role, and taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from artefacts import Dist
from host import Host
from scenario import Hosts, changed, ctl, disks
from suites import REPO, family

ROLE = "backendai-all-in-one"
INSTALL_TIMEOUT = 1500  # seconds
HEALTHY_TIMEOUT = 420


@contextmanager
def host_of_others(
    hosts: Hosts, root: str, images: str, repositories: Path, factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """A host on which nothing of ours is; `images` is where its container engine keeps them."""
    with disks(factory, "theirs") as folder:
        kept = folder / "images"  # overlayfs does not lie on overlayfs
        kept.mkdir()
        with hosts.boot(
            root,
            binds={repositories: REPO},
            writable={kept: images},
            privileged=True,
            upper=folder,
        ) as made:
            yield made


def wait_healthy(host: Host) -> None:
    wait = ["backendai-ctl", "status", "--wait", str(HEALTHY_TIMEOUT)]
    host.check(wait, timeout=HEALTHY_TIMEOUT + 60)


def install(host: Host, dist: Dist) -> None:
    """Install the role from the repository; the site is well, and another run would change nothing."""
    family("trixie", dist).add_repository(host)
    call = ["apt-get", "install", "-y", "-q", "--no-install-recommends", ROLE]
    host.check(call, timeout=INSTALL_TIMEOUT)
    wait_healthy(host)
    report = ctl(host, "doctor")
    assert report["ok"], report
    left = changed(host)
    assert left == [], left


def remove(host: Host) -> None:
    host.check(["apt-get", "purge", "-y", "-q", "backendai-*"], timeout=INSTALL_TIMEOUT)
