"""export-volumes: writes what the site file says, lets the server read it, takes it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending
from backendai_ctl.facts import Facts
from backendai_ctl.platform import systemd
from backendai_ctl.site.schema import Node, Site, Storage, Volume
from backendai_ctl.steps import export_volumes
from backendai_ctl.steps.export_volumes import ExportVolumes
from backendai_ctl.storage import exports, rpcbind

STEP = ExportVolumes()

Calls = list[list[str]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What systemd and exportfs were told; the server runs from its first start on."""
    made: Calls = []
    for name in ("FILE", "SETTINGS"):
        monkeypatch.setattr(exports, name, tmp_path / name.lower() / "backendai.x")
    monkeypatch.setattr(exports, "OTHERS", tmp_path / "exports")
    monkeypatch.setattr(exports, "SERVER", tmp_path / "nfs-server.service")
    monkeypatch.setattr(rpcbind, "INSTALLED", tmp_path / "none")
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "is_active", lambda _unit: ["restart", exports.UNIT] in made)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: made.append(list(words)))
    monkeypatch.setattr(export_volumes, "checked", lambda argv, **_: made.append(argv))
    exports.SERVER.touch()
    return made


def store(facts: Facts, *volumes: str) -> Context:
    nodes = {
        "store": Node(address="10.77.0.2", roles=["storage"]),
        "gpu1": Node(address="10.77.0.11", roles=["compute"]),
    }
    found = {name: Volume(kind="nfs", server="store") for name in volumes} or {"own": Volume()}
    return Context(facts, Site(nodes=nodes, storage=Storage(volumes=found)), node="store")


def test_a_second_run_finds_nothing(facts: Facts, calls: Calls) -> None:
    ctx = store(facts, "home")
    assert len(STEP.check(ctx)) == 3
    STEP.apply(ctx)
    assert exports.FILE.read_text() == exports.text(ctx)
    assert STEP.check(ctx) == []
    assert calls == [
        ["enable", exports.UNIT],
        ["restart", exports.UNIT],
        [str(exports.EXPORTFS), "-ra"],
    ]


def test_another_volume_needs_no_new_start_of_the_server(facts: Facts, calls: Calls) -> None:
    STEP.apply(store(facts, "home"))
    calls[:] = [["restart", exports.UNIT]]
    STEP.apply(store(facts, "home", "fast"))
    assert calls[1:] == [[str(exports.EXPORTFS), "-ra"]]


def test_without_a_server_the_package_is_named(facts: Facts, calls: Calls) -> None:
    exports.SERVER.unlink()
    with pytest.raises(Pending, match="no NFS server") as caught:
        STEP.apply(store(facts, "home"))
    assert "apt install nfs-kernel-server" in caught.value.hint
    assert exports.FILE.exists()


def test_what_left_the_site_file_is_served_no_more(facts: Facts, calls: Calls) -> None:
    STEP.apply(store(facts, "home"))
    ctx = store(facts)
    assert [change.how for change in STEP.check(ctx)] == ["remove it", "remove it"]
    STEP.apply(ctx)
    assert not exports.FILE.exists()
    assert calls[-1] == [str(exports.EXPORTFS), "-ra"]
    assert STEP.check(ctx) == []


def test_undo_takes_back_the_files_and_leaves_the_server(facts: Facts, calls: Calls) -> None:
    ctx = store(facts, "home")
    STEP.apply(ctx)
    STEP.undo(ctx)
    assert not exports.FILE.exists() and not exports.SETTINGS.exists()
    assert not [words for words in calls if words[0] in ("stop", "disable")]
    STEP.undo(ctx)
