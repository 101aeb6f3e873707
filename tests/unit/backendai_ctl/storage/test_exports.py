"""Serving a volume: to the nodes that need it, by NFS 4 alone, root as the services' user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.site.schema import Node, Site, Storage, Volume
from backendai_ctl.storage import exports

NODES = {
    "mgmt": Node(address="10.77.0.1", roles=["management"]),
    "store": Node(address="10.77.0.2", roles=["storage"]),
    "gpu1": Node(address="10.77.0.11", roles=["compute"]),
    "gpu2": Node(address="2001:db8::12", roles=["compute", "storage"]),
}
SHARED = Volume(kind="nfs", server="store")


def on(facts: Facts, node: str, **volumes: Volume) -> Context:
    return Context(facts, Site(nodes=NODES, storage=Storage(volumes=volumes)), node=node)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FILE", tmp_path / "exports.d/backendai.exports")
    monkeypatch.setattr(exports, "OTHERS", tmp_path / "exports")


def test_exactly_the_nodes_that_need_it_may_mount(facts: Facts) -> None:
    head, line = exports.text(on(facts, "store", home=SHARED, own=Volume())).splitlines()
    assert head.startswith("# Written by backendai-ctl")
    path, *clients = line.split(" ")
    assert path == str(facts.paths.volumes / "home")
    assert [client.partition("(")[0] for client in clients] == ["10.77.0.11", "2001:db8::12/128"]
    for client in clients:
        assert "(rw,sync,no_subtree_check,sec=sys,root_squash,anonuid=1100,anongid=1100," in client
        assert client.endswith(f",fsid={exports.fsid('home')})")


def test_a_node_that_keeps_nothing_serves_nothing(facts: Facts) -> None:
    for node in ("mgmt", "gpu1"):
        assert exports.text(on(facts, node, home=SHARED)) == ""
        assert exports.settings(on(facts, node, home=SHARED)) == ""


def test_the_number_of_a_file_system_stays_and_is_each_volumes_own() -> None:
    assert str(exports.fsid("home")) == "81eb045b-e7b5-5045-bc12-ad74a4ab457e"
    assert exports.fsid("home") != exports.fsid("fast")


def test_version_3_is_off_unless_the_operator_serves_something(facts: Facts) -> None:
    ctx = on(facts, "store", home=SHARED)
    assert "vers3=n" in exports.settings(ctx)
    exports.OTHERS.write_text("# nothing\n")
    assert exports.settings(ctx)
    exports.OTHERS.write_text("/srv/pub *(ro)\n")
    assert exports.settings(ctx) == ""


def test_the_services_user_of_the_release_is_who_root_becomes(facts: Facts) -> None:
    text = exports.text(on(replace(facts, uid=1200, gid=1201), "store", home=SHARED))
    assert "anonuid=1200,anongid=1201" in text
