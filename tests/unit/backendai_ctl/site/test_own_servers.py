"""Defaults of the site's own servers and of those of others."""

from __future__ import annotations

import pytest

from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import split_host_port
from backendai_ctl.topology import layout
from backendai_ctl.validation.rules import OURS

USUAL = {"postgresql": 5432, "valkey": 6379, "etcd": 2379}
FIRST = {"postgresql": "sql", "valkey": "clients", "etcd": "clients"}


def port(site: Site, server: str) -> int:
    if server == "etcd":
        return split_host_port(site.etcd.endpoints[0])[1]
    found: int = getattr(site, layout.TABLES[server]).port
    return found


@pytest.mark.parametrize("server", list(USUAL))
def test_the_default_port_is_the_one_that_its_package_declares(facts: Facts, server: str) -> None:
    assert port(Site(), server) == facts.servers[server].ports[FIRST[server]]
    named = Site.model_validate({layout.TABLES[server]: {"mode": "local"}})
    assert port(named, server) == port(Site(), server)


@pytest.mark.parametrize("server", list(USUAL))
def test_a_server_of_others_has_its_usual_port(server: str) -> None:
    table = layout.TABLES[server]
    site = Site.model_validate({table: {"mode": "external"}})
    assert port(site, server) == USUAL[server]
    assert getattr(site, table).model_fields_set == {"mode"}, "nobody set it"
    given = {"endpoints": ["e:1"]} if server == "etcd" else {"host": "e", "port": 1}
    assert port(Site.model_validate({table: {"mode": "external", **given}}), server) == 1


def test_no_two_servers_share_a_port(facts: Facts) -> None:
    ports = [number for server in facts.servers.values() for number in server.ports.values()]
    assert len(ports) == len(set(ports)) and min(ports) >= 1024


def test_what_backendai_ctl_sets_itself_is_in_what_it_writes(facts: Facts) -> None:
    """A setting that cannot be changed, or would cut us off, is refused by its name."""
    assert set(OURS) == set(layout.TABLES.values())
    for words in OURS.values():
        assert "port" in words or "listen-client-urls" in words
