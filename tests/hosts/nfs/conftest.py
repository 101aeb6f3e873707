"""The site that the scenarios of this folder share."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import artefacts
import pytest
from scenario import Hosts, disks
from site_with_nfs import Site, site_with_nfs


@pytest.fixture(scope="package")
def site(
    hosts: Hosts,
    dist: artefacts.Dist,
    repositories: Path,
    tmp_path_factory: pytest.TempPathFactory,
    of_folder: ExitStack,
) -> Site:
    """Both hosts set up; the NFS server runs and the volume is mounted on `mgmt`."""
    folder = of_folder.enter_context(disks(tmp_path_factory, "nfs"))
    return of_folder.enter_context(site_with_nfs(hosts, dist, repositories, folder))
