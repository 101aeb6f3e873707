"""The whole site on one host, shared by the scenarios of this folder, which leave it healthy."""

from __future__ import annotations

from contextlib import ExitStack

import people as everybody
import pytest
from bundle_dist import Bundle
from people import People
from scenario import Hosts, disks
from site_host import SiteHost, site_host


@pytest.fixture(scope="package")
def allinone(
    hosts: Hosts, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory, of_folder: ExitStack
) -> SiteHost:
    """A bare offline Debian 13 host after `tar xf`, `./verify.sh`, `./install.sh --role all-in-one`."""
    folder = of_folder.enter_context(disks(tmp_path_factory, "site"))
    return of_folder.enter_context(site_host(hosts, bundle, folder))


@pytest.fixture(scope="package")
def people(allinone: SiteHost) -> People:
    """Accounts on the site, all signed in."""
    return everybody.invite(allinone)
