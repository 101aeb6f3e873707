"""A volume that one node keeps: a folder there, a mount on those that need it, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from site_nodes import site_of

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.firewall import ruleset
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.topology import here, layout, listeners
from backendai_ctl.topology.places import Place, places, served
from backendai_ctl.validation.load import parse

NODES = site_of(
    mgmt="10.77.0.1 management", store="10.77.0.2 storage", gpu1="gpu1.example.org compute"
)
HOME = '[storage.volumes.home]\nkind = "nfs"\n'
OTHER = """\
[nodes.other]
address = "10.77.0.3"
roles = ["storage"]
"""
FAST = """\
[storage.volumes.fast]
proxies = ["other"]
permit = false
"""
At = Callable[..., Context]


@pytest.fixture
def at(facts: Facts) -> At:
    def make(node: str, volume: str, nodes: str = NODES) -> Context:
        text = nodes + HOME + volume
        site = parse(facts.paths.site_file, text, facts, node=node)
        seen, its_site = here.view(facts, site, node, "10.77.0.9")
        return Context(seen, its_site, node=node)

    return make


def only(ctx: Context) -> Place:
    (place,) = places(ctx)
    return place


@pytest.mark.parametrize("server", ["store", "10.77.0.2"])
def test_the_node_that_keeps_it_has_a_folder_and_the_others_mount_that(at: At, server: str) -> None:
    kept = only(at("store", f'server = "{server}"\n'))
    assert (kept.remote, kept.clients) == (False, ("gpu1",))
    seen = only(at("gpu1", f'server = "{server}"\n'))
    assert seen.source == f"10.77.0.2:{kept.path}"
    assert seen.path == kept.path
    assert seen.clients == ()


def test_a_path_of_its_own_is_the_same_on_every_node(at: At) -> None:
    volume = 'server = "store"\npath = "/data/home"\n'
    assert only(at("store", volume)).path == Path("/data/home")
    assert only(at("gpu1", volume)).source == "10.77.0.2:/data/home"


def test_a_machine_of_somebody_else_is_nobodys_to_keep(at: At) -> None:
    ctx = at("store", 'server = "nas.example.org"\nexport = "/export/home"\n')
    assert only(ctx).source == "nas.example.org:/export/home"
    assert served(ctx) == []


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        ('server = "nas.example.org"', "storage.volumes.home.export: is missing"),
        ('server = "mgmt"', "is node 'mgmt', which has no storage proxy"),
        ('server = "store"\nexport = "/export/home"', "store is a node of this site"),
        ('export = "/export/home"', "storage.volumes.home.server: is missing"),
        ('server = "store"\nproxies = ["stor"]', "proxies[0]: there is no node 'stor'"),
        ('server = "store"\nproxies = ["gpu1"]', "is node 'gpu1', which has no storage proxy"),
        (
            f'server = "store"\nproxies = ["store"]\n{OTHER}',
            "nodes.other.roles: has a storage proxy, but no volume names it in `proxies`",
        ),
    ],
)
def test_what_cannot_be_is_told(at: At, volume: str, told: str) -> None:
    with pytest.raises(SiteFaults) as caught:
        at("gpu1", volume)
    assert told in str(caught.value)


def test_a_proxy_has_the_volumes_that_name_it_and_agents_have_all(at: At) -> None:
    more = f'server = "store"\nproxies = ["store"]\n{FAST}{OTHER}'
    assert [place.name for place in places(at("store", more))] == ["home"]
    assert [place.name for place in places(at("other", more))] == ["fast"]
    assert [place.name for place in places(at("gpu1", more))] == ["home", "fast"]
    assert places(at("mgmt", more)) == []
    kept = places(at("store", more))[0]
    assert kept.clients == ("gpu1",)
    ctx = at("mgmt", more)
    hosts = {name: layout.volume_hosts(ctx.site, ctx.facts, name) for name in ("home", "fast")}
    assert hosts == {"home": ["local:home"], "fast": ["other:fast"]}
    assert layout.permitted_hosts(ctx.site, ctx.facts) == ["local:home"]


def test_a_volume_that_names_no_proxy_is_offered_by_all(at: At) -> None:
    ctx = at("mgmt", f'server = "store"\n{OTHER}')
    hosts = layout.volume_hosts(ctx.site, ctx.facts, "home")
    assert hosts == layout.permitted_hosts(ctx.site, ctx.facts) == ["local:home", "other:home"]
    assert places(at("store", f'server = "store"\n{OTHER}'))[0].clients == ("gpu1", "other")


def test_the_node_that_keeps_a_volume_for_others_listens_for_nfs(at: At) -> None:
    def listens(node: str, more: str) -> bool:
        return listeners.NFS in listeners.expected(at(node, more))

    assert listens("store", 'server = "store"\n')
    assert not listens("gpu1", 'server = "store"\n')
    assert not listens("store", 'server = "nas.example.org"\nexport = "/export/home"\n')
    numbers = NODES.replace("gpu1.example.org", "10.77.0.11")
    rules = ruleset.text(at("store", 'server = "store"\n', numbers), of_nodes=True)
    assert "2049, 6022, 8131, 8140, 16023, 30000-31000 } drop" in rules
