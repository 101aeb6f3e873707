"""Promise: dpkg and rpm install from files alone, remove leaves nothing, and back again."""

from __future__ import annotations

from pathlib import Path

import artefacts
import pytest
from scenario import Hosts
from suites import PARAMETERS, REPO, family

# What may differ after the last package of ours is gone: path -> why.
MAY_DIFFER = {
    "/var/lib/backendai": "state of the services: data is never deleted by a package",
    "/var/log/backendai": "logs are the operator's",
    "/etc/backendai": "settings of the operator and secrets",
    "/opt": "dpkg removes an emptied folder that no package owns",
    # Written by the host's own tools, for any package.
    "/etc/group-": "user tools keep a copy",
    "/etc/gshadow-": "user tools keep a copy",
    "/etc/passwd-": "user tools keep a copy",
    "/etc/shadow-": "user tools keep a copy",
    "/etc/.pwd.lock": "lock of the user tools",
    "/var/lib/systemd": "systemd's own state",
    "/var/log/journal": "the journal",
}
NEEDED_BY_CLIENT = {"backendai-client", "backendai-common", "backendai-runtime"}


def _stays(path: str, kept: tuple[str, ...]) -> bool:
    return path in kept or any(path.startswith(f"{top}/") for top in kept if top != "/opt")


@pytest.mark.parametrize("suite", PARAMETERS)
def test_install_purge_reinstall(
    suite: str, hosts: Hosts, dist: artefacts.Dist, repositories: Path
) -> None:
    manager = family(suite, dist)
    with hosts.boot(suite, binds={repositories: REPO}) as host:
        before = host.files()
        manager.install_files(host)
        assert set(manager.installed(host)) == set(manager.names)
        assert host.check(["backend.ai", "--version"]).stdout

        manager.purge(host)
        assert list(manager.installed(host)) == []
        kept = (*MAY_DIFFER, *manager.keeps)
        assert [path for path in sorted(host.files() - before) if not _stays(path, kept)] == []
        assert [path for path in sorted(before - host.files()) if not _stays(path, kept)] == []
        assert host.sh("systemctl is-system-running") == "running"

        # And back: one package from the repository brings what it needs and no more.
        manager.add_repository(host)
        manager.install(host, ["backendai-client"])
        assert set(manager.installed(host)) == NEEDED_BY_CLIENT
        assert host.check(["backend.ai", "--version"]).stdout
