"""create-volumes: local volumes and mounts together, and what a dead server may not do."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import systemd, units
from backendai_ctl.site.schema import Site, Storage, Volume
from backendai_ctl.steps.create_volumes import CreateVolumes
from backendai_ctl.storage import access, exports, mounts, rpcbind
from backendai_ctl.topology.places import Place

STEP = CreateVolumes()


class Host:
    """systemd and the NFS server, as far as the step sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers = True
        self.mounted: set[str] = set()
        self.tried: list[str] = []  # volumes that were used as services do
        self.calls: list[tuple[str, ...]] = []

    def systemctl(self, *words: str, **_: object) -> str:
        self.calls.append(words)
        wants = self.folder / "multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for name in words[2:]:
            if words[1] == "enable":
                (wants / name).symlink_to(self.folder / name)
            elif words[1] == "disable":
                (wants / name).unlink(missing_ok=True)
        return ""

    def mount(self, place: Place) -> None:
        if not self.answers:
            raise Pending(f"{place.name}: connection refused")
        place.path.mkdir(parents=True, exist_ok=True)
        self.mounted.add(str(place.path))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "system")
    monkeypatch.setattr(units, "FOLDER", made.folder)
    monkeypatch.setattr(rpcbind, "INSTALLED", tmp_path / "none")
    monkeypatch.setattr(exports, "OTHERS", tmp_path / "exports")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(systemd, "systemctl", made.systemctl)
    monkeypatch.setattr(mounts, "mount", made.mount)
    monkeypatch.setattr(access, "must_pass", lambda _ctx, place: made.tried.append(place.name))
    for name in ("mounted", "waited_for"):
        monkeypatch.setattr(mounts, name, lambda place: str(place.path) in made.mounted)
    return made


def site_with(facts: Facts, **volumes: Volume) -> Context:
    """Volumes below the test's folder; the services' user is who runs the tests."""
    mine = replace(facts, user="root", uid=os.geteuid(), gid=os.getegid())
    return Context(mine, Site(storage=Storage(volumes=volumes)))


def nas(facts: Facts) -> Volume:
    return Volume(kind="nfs", server="nas", export=Path("/srv/a"), path=facts.paths.volumes / "nas")


def test_a_second_run_finds_nothing(facts: Facts, host: Host) -> None:
    ctx = site_with(facts, here=Volume(), nas=nas(facts))
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    assert host.tried == ["nas"]
    before = list(host.calls)
    STEP.apply(ctx)
    assert host.calls == before


def test_a_dead_server_keeps_nothing_else_from_being_made(facts: Facts, host: Host) -> None:
    ctx = site_with(facts, nas=nas(facts), here=Volume())
    host.answers = False
    with pytest.raises(Pending):
        STEP.apply(ctx)
    assert (facts.paths.volumes / "here/version.txt").read_text() == "3"
    assert [change.how for change in STEP.check(ctx)] == ["mount nas:/srv/a"]
    assert not (facts.paths.volumes / "nas").exists()  # nothing is written below the mount
    host.answers = True
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    assert (facts.paths.volumes / "nas/version.txt").read_text() == "3"


def test_a_volume_that_left_the_site_file_loses_its_units_and_keeps_its_files(
    facts: Facts, host: Host
) -> None:
    STEP.apply(site_with(facts, here=Volume(), nas=nas(facts)))
    foreign = host.folder / "srv-other.mount"
    foreign.write_text("[Mount]\n")
    ctx = site_with(facts, here=Volume())
    assert all(change.how == "remove it" for change in STEP.check(ctx))
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    left = {path.name for path in host.folder.rglob("*") if not path.is_dir()}
    assert left == {"srv-other.mount"}
    assert (facts.paths.volumes / "nas/version.txt").exists()


def test_undo_keeps_folders(facts: Facts, host: Host) -> None:
    ctx = site_with(facts, here=Volume(), nas=nas(facts))
    STEP.apply(ctx)
    STEP.undo(ctx)
    assert [path for path in host.folder.rglob("*") if not path.is_dir()] == []
    assert (facts.paths.volumes / "here/version.txt").exists()


@pytest.mark.parametrize(
    ("made", "told"), [("file", "is not a directory"), ("folder", "of its own")]
)
def test_what_lies_where_a_volume_shall_be_mounted_is_not_hidden(
    facts: Facts, host: Host, made: str, told: str
) -> None:
    ctx = site_with(facts, nas=nas(facts))
    place = facts.paths.volumes / "nas"
    mine = place if made == "file" else place / "mine"
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.touch()
    with pytest.raises(Problem, match=told):
        STEP.apply(ctx)
    assert not list(host.folder.rglob("*.*mount"))
