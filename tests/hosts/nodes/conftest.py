"""The site that the scenarios of this folder share: one module after the other uses it.

It grows as they go on, in the order of the files' names: four nodes join; one of them becomes an
edge node as well, then another; the last a second management node.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from bundle_dist import Bundle
from scenario import Hosts, disks
from site_of_nodes import ROLES, Site, hosts_of

NAMES = ("mgmt", "storage1", "compute1", "compute2")


@pytest.fixture(scope="package")
def nodes(
    hosts: Hosts, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory, of_folder: ExitStack
) -> Site:
    """Four offline hosts after `./install.sh --role ...`; only the management node is set up."""
    wanted = {name: ROLES[name] for name in NAMES}
    folder = of_folder.enter_context(disks(tmp_path_factory, "nodes"))
    site = of_folder.enter_context(hosts_of(hosts, bundle, folder, wanted))
    site.install(*NAMES)
    return site
