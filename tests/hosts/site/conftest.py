"""The whole site on one host, shared by the scenarios of this folder, which leave it healthy."""

from __future__ import annotations

from collections.abc import Iterator

import people as everybody
import pytest
from bundle_dist import Bundle
from people import People
from scenario import Hosts, disks
from site_host import SiteHost, site_host


@pytest.fixture(scope="package")
def allinone(
    hosts: Hosts, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SiteHost]:
    """A bare offline Debian 13 host after `tar xf`, `./verify.sh`, `./install.sh --role all-in-one`."""
    with (
        disks(tmp_path_factory, "site") as folder,
        site_host(hosts, bundle, folder) as site,
    ):
        yield site


@pytest.fixture(scope="package")
def people(allinone: SiteHost) -> People:
    """Accounts on the site, all signed in."""
    return everybody.invite(allinone)
