"""Serving a volume: to the site's networks only, as the services' user, never more."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Network, Site, Storage, Volume
from backendai_ctl.storage import exports
from backendai_ctl.storage.volumes import places
from backendai_ctl.system import systemd


@pytest.fixture
def site_of_nodes(facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(exports, "FOLDER", tmp_path / "exports.d")
    monkeypatch.setattr(exports, "SERVER", tmp_path / "nfs-server.service")
    return Context(facts, Site(network=Network(allow=["192.0.2.0/24", "2001:db8::/64"])))


def test_every_network_and_only_those_as_the_services_user(site_of_nodes: Context) -> None:
    (place,) = places(site_of_nodes)
    options = "rw,sync,no_subtree_check,sec=sys,all_squash,anonuid=1100,anongid=1100"
    line = exports.text(site_of_nodes, place).splitlines()[-1]
    assert line == f"{place.path} 192.0.2.0/24({options}) 2001:db8::/64({options})"


def test_without_networks_nothing_is_served(ctx: Context) -> None:
    with pytest.raises(BadRequest, match=r"\[network\] allow is empty"):
        exports.text(ctx, places(ctx)[0])


def test_a_volume_of_another_machine_is_not_served(facts: Facts) -> None:
    volume = Volume(kind="nfs", server="nas", export=Path("/srv/a"))
    ctx = Context(facts, Site(storage=Storage(volumes={"a": volume})))
    with pytest.raises(BadRequest, match="is on nas:/srv/a"):
        exports.text(ctx, places(ctx)[0])


def test_without_a_server_the_line_is_written_and_the_package_named(
    site_of_nodes: Context,
) -> None:
    (place,) = places(site_of_nodes)
    with pytest.raises(Pending) as caught:
        exports.export(site_of_nodes, place)
    assert caught.value.hint == "run: apt install nfs-kernel-server"
    assert exports.path(place).read_text() == exports.text(site_of_nodes, place)
    assert exports.remove(place)
    assert not exports.remove(place)


def test_a_server_that_runs_reads_it_at_once(
    site_of_nodes: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    exports.SERVER.touch()
    monkeypatch.setattr(systemd, "is_active", lambda _unit: True)
    monkeypatch.setattr(exports, "check", lambda argv, **_: calls.append(argv))
    (place,) = places(site_of_nodes)
    assert exports.export(site_of_nodes, place)
    assert not exports.export(site_of_nodes, place)
    assert calls == [["/usr/sbin/exportfs", "-ra"]] * 2
