"""The site that the scenarios of this folder share: one module after the other uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import artefacts
import pytest
from scenario import Hosts
from site_of_nodes import Site, site_of


@pytest.fixture(scope="package")
def nodes(
    hosts: Hosts,
    dist: artefacts.Dist,
    repositories: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Management and compute node with their packages; the compute node has not joined yet."""
    names = ("mgmt", "compute1", "edge1")
    with site_of(hosts, dist, repositories, tmp_path_factory.mktemp("nodes"), names) as site:
        yield site
