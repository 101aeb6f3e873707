"""Doctor's view of volumes: what is away is named, and nothing is looked at that could hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.checks import storage
from backendai_ctl.context import Context
from backendai_ctl.facts import Facts
from backendai_ctl.result import fail
from backendai_ctl.site.schema import Node, Site, Storage, Volume
from backendai_ctl.storage import access, mounts
from backendai_ctl.storage.volumes import Look

NAS = Volume(kind="nfs", server="nas", export=Path("/srv/a"))
NODES = {
    "store": Node(address="10.77.0.2", roles=["storage"]),
    "gpu1": Node(address="10.77.0.11", roles=["compute"]),
}


def with_volumes(facts: Facts, node: str = "", **volumes: Volume) -> Context:
    nodes = NODES if node else {}
    site = Site(nodes=nodes, storage=Storage(volumes=volumes))
    for component in facts.components.values():
        facts.paths.units.mkdir(parents=True, exist_ok=True)
        (facts.paths.units / component.unit).touch()
    return Context(facts, site, node=node)


def test_a_volume_that_is_not_mounted_is_named_and_not_looked_at(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "now", lambda _place: ())
    monkeypatch.setattr(storage, "look", lambda *_: pytest.fail("it would wake the .automount"))
    ctx = with_volumes(facts, a=NAS)
    found = storage.mounted(ctx)
    assert found.level == "fail"
    assert "a (nas:/srv/a) is not mounted at" in found.message
    assert "check nas" in found.hint
    assert storage.use(ctx).level == "skip"


def test_a_server_that_hangs_is_named(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "now", lambda _place: ("nas:/srv/a", frozenset()))
    monkeypatch.setattr(storage, "look", lambda *_: Look("hangs"))
    assert storage.mounted(with_volumes(facts, a=NAS)).message == "a: nas does not answer"


def test_use_tells_the_volume_and_the_number(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "now", lambda _place: ("nas:/srv/a", frozenset()))
    monkeypatch.setattr(storage.os, "geteuid", lambda: 0)
    bad = fail("a file of bai belongs to 65534:65534", "on nas: ...", name="ids")
    monkeypatch.setattr(access, "of_volume", lambda *_: [bad])
    found = storage.use(with_volumes(facts, a=NAS))
    assert (found.level, found.hint) == ("fail", "on nas: ...")
    assert found.message == "a: ids: a file of bai belongs to 65534:65534"


def test_a_folder_of_each_host_for_itself_is_a_warning(facts: Facts) -> None:
    found = storage.shared(with_volumes(facts, "gpu1", volume1=Volume()))
    assert found.level == "warn"
    assert "sessions on gpu1 do not see" in found.message
    assert 'server = "store"' in found.hint
    kept = Volume(kind="nfs", server="store")
    assert storage.shared(with_volumes(facts, "gpu1", volume1=kept)).level == "ok"
    assert storage.shared(with_volumes(facts, volume1=Volume())).level == "skip"


def test_exports_that_are_not_written_are_a_fault(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.exports, "FILE", tmp_path / "backendai.exports")
    ctx = with_volumes(facts, "store", home=Volume(kind="nfs", server="store"))
    found = storage.served(ctx)
    assert (found.level, found.hint) == ("fail", "run: backendai-ctl storage export")
    assert storage.served(with_volumes(facts, "gpu1", home=NAS)).level == "skip"
