"""What a purge with data does to volumes: it deletes what was made here, leaves the rest, says why."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest
from backendai_ctl.facts import Facts
from backendai_ctl.platform import folders, trees
from backendai_ctl.site.schema import Node, Site, Storage, Volume
from backendai_ctl.storage import fates, made, volumes
from backendai_ctl.topology import places

ME = ("root", os.geteuid(), os.getegid())
NODES = {
    "mgmt": Node(address="10.0.0.1", roles=["management", "storage"]),
    "gpu1": Node(address="10.0.0.11", roles=["compute"]),
    "gpu2": Node(address="10.0.0.12", roles=["compute"]),
}


def host(facts: Facts, node: str = "", **found: Volume) -> Context:
    user, uid, gid = ME
    site = Site(storage=Storage(volumes=found), nodes=NODES if node else {})
    return Context(replace(facts, user=user, uid=uid, gid=gid), site, node=node)


def prepare(ctx: Context, *names: str) -> None:
    for place in places.places(ctx):
        if place.name in names:
            volumes.prepare(ctx, place)


def only(ctx: Context, *named: str) -> fates.Fate:
    (found,) = fates.of_volumes(ctx, named)
    return found


def test_a_cluster_file_system_is_left_by_a_node_that_goes(facts: Facts, tmp_path: Path) -> None:
    """Others made it, all nodes have it; its version and owner are those of any volume."""
    options = tmp_path / "weka.toml"
    weka = Volume(path=tmp_path / "weka", backend="weka", backend_options=options)
    ctx = host(facts, "gpu1", weka=weka)
    (tmp_path / "weka").mkdir(mode=0o750)
    (tmp_path / "weka/version.txt").write_text("3")
    for named in ((), ("weka",)):
        fate = only(ctx, *named)
        assert fate.identity is None
        assert str(fate) == (
            f"{tmp_path / 'weka'} (volume weka): a file system of its own "
            '(backend = "weka"); 2 other nodes use it'
        )
    prepare(ctx, "weka")
    shutil.rmtree(tmp_path / "weka")
    prepare(ctx, "weka")  # even if it was made here
    assert made.known(ctx) and only(ctx, "weka").identity is None


def test_a_node_deletes_a_volume_only_by_its_name(facts: Facts, tmp_path: Path) -> None:
    ctx = host(facts, "mgmt", home=Volume(kind="nfs", server="mgmt", path=tmp_path / "home"))
    prepare(ctx, "home")
    assert str(only(ctx)).endswith(
        "of a site of several nodes: delete it by --volumes home; 2 other nodes use it"
    )
    assert only(ctx).identity is None
    assert only(ctx, "home").identity == (
        (tmp_path / "home").stat().st_dev,
        (tmp_path / "home").stat().st_ino,
    )
    assert str(only(ctx, "home")).endswith("; 2 other nodes use it")


def test_a_mounted_volume_is_only_unmounted(facts: Facts, tmp_path: Path) -> None:
    ctx = host(facts, "gpu1", home=Volume(kind="nfs", server="mgmt", path=tmp_path / "home"))
    fate = only(ctx, "home")
    assert fate.identity is None and "it is on 10.0.0.1:" in fate.why


def test_a_name_that_is_none_is_refused(facts: Facts, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no volume 'hoem'"):
        fates.of_volumes(host(facts, home=Volume(path=tmp_path / "home")), ["hoem"])


@pytest.mark.parametrize(
    ("where", "why"), [("", "a mount point"), ("user/mnt", "{}/user/mnt is mounted in it")]
)
def test_a_mount_keeps_it(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, why: str
) -> None:
    path = tmp_path / "home"
    ctx = host(facts, home=Volume(path=path))
    prepare(ctx, "home")
    table = tmp_path / "mountinfo"
    table.write_text(
        "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"99 24 8:1 /x {tmp_path}/homes rw - ext4 /dev/sda1 rw\n"
        f"99 24 8:1 /x {path / where} rw - ext4 /dev/sda1 rw\n"
    )
    monkeypatch.setattr(trees, "MOUNTS", table)
    fate = only(ctx, "home")
    assert fate.identity is None and fate.why.startswith(why.format(path))


def exchanged(path: Path) -> None:
    path.rename(path.with_name("before"))
    path.mkdir(mode=0o750)


def linked(path: Path) -> None:
    path.rename(path.with_name("before"))
    path.symlink_to("before")


def given_away(path: Path) -> None:
    os.chown(path, 54321, -1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (exchanged, "another folder than the one that backendai-ctl made here on 2"),
        (linked, "a link"),
        (given_away, "it does not belong to root"),
    ],
)
def test_what_is_not_as_it_was_made_is_left(
    facts: Facts, tmp_path: Path, change: Any, why: str
) -> None:
    if os.geteuid() != 0 and change is given_away:
        pytest.skip("only root can give a folder away")
    ctx = host(facts, home=Volume(path=tmp_path / "home"))
    prepare(ctx, "home")
    assert only(ctx).identity
    change(tmp_path / "home")
    fate = only(ctx)
    assert fate.identity is None and fate.why.startswith(why)


def test_folders_of_the_host_of_ours_and_of_other_volumes_stay(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Volume(path=tmp_path / "outer/inner")
    above = Volume(path=facts.paths.config.parent)
    ctx = host(facts, srv=Volume(path=tmp_path / "srv"), outer=Volume(path=tmp_path / "outer"))
    prepare(ctx, "srv", "outer")
    monkeypatch.setattr(folders, "TOP", {tmp_path / "srv"})
    volumes_of_site = {**ctx.site.storage.volumes, "inner": inner, "above": above}
    ctx = replace(ctx, site=Site(storage=Storage(volumes=volumes_of_site)))
    found = {fate.place.name: fate.why for fate in fates.of_volumes(ctx, [])}
    assert found["srv"] == "a folder of the host"
    assert found["outer"] == "volume inner is in it"
    assert found["above"] == f"{facts.paths.config} is in it"


@pytest.mark.parametrize("path", ["/", "/srv", "/usr", "/var"])
def test_folders_of_the_host_are_known(path: str) -> None:
    assert Path(path) in folders.TOP


def test_a_folder_that_was_there_before_is_not_ours(facts: Facts, tmp_path: Path) -> None:
    """An empty disk is taken into use; its folder was somebody else's."""
    (tmp_path / "home").mkdir(mode=0o700)
    os.chmod(tmp_path / "home", 0o500)
    ctx = host(facts, home=Volume(path=tmp_path / "home"))
    prepare(ctx, "home")
    assert made.known(ctx) == {}
    assert only(ctx).why.startswith("no record says")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"/x": {"inode": 1}}', '{"/x": 3}'])
def test_a_damaged_record_says_of_none(facts: Facts, text: str) -> None:
    ctx = host(facts, home=Volume())
    made.record(ctx).parent.mkdir(parents=True)
    made.record(ctx).write_text(text)
    assert made.known(ctx) == {}


def test_the_record_is_roots(facts: Facts, tmp_path: Path) -> None:
    ctx = host(facts, home=Volume(path=tmp_path / "home"))
    prepare(ctx, "home")
    assert made.record(ctx).stat().st_mode & 0o777 == 0o600
    made.forget(ctx, tmp_path / "home")
    assert not made.record(ctx).exists()
