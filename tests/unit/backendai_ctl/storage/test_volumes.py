"""Volumes: made ready where that is safe, refused with a cure where it is not, never hanging."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import careful
from backendai_ctl.site.schema import Site, Storage, Volume
from backendai_ctl.storage import volumes
from backendai_ctl.storage.volumes import changes, prepare
from backendai_ctl.topology.places import Place, places


@pytest.fixture
def mine(facts: Facts) -> Context:
    """A host whose services run as the user who runs the tests."""
    return Context(replace(facts, user="root", uid=os.geteuid(), gid=os.getegid()), Site())


def folder(ctx: Context) -> Path:
    return ctx.paths.volumes / "volume1"


def test_a_new_volume_is_a_private_folder_with_its_version(mine: Context) -> None:
    (place,) = places(mine)
    assert [change.how for change in changes(mine, place)] == ["make the folder", "write 3"]
    prepare(mine, place)
    assert folder(mine).stat().st_mode & 0o7777 == 0o750
    assert [p.name for p in folder(mine).iterdir()] == ["version.txt"]
    assert (folder(mine) / "version.txt").read_text() == "3"
    assert changes(mine, place) == []


def test_a_volume_in_use_stays_as_it_is(mine: Context) -> None:
    (place,) = places(mine)
    prepare(mine, place)
    (folder(mine) / "user").mkdir(mode=0o700)
    folder(mine).chmod(0o2775)
    before = [
        (p.stat().st_mode, p.stat().st_mtime_ns) for p in (folder(mine), *folder(mine).iterdir())
    ]
    prepare(mine, place)
    assert before == [
        (p.stat().st_mode, p.stat().st_mtime_ns) for p in (folder(mine), *folder(mine).iterdir())
    ]


def test_an_empty_disk_is_given_to_the_services(mine: Context) -> None:
    (place,) = places(mine)
    (folder(mine) / "lost+found").mkdir(parents=True)
    folder(mine).chmod(0o555)
    assert [change.how for change in changes(mine, place)] == [
        "give the empty folder to root",
        "write 3",
    ]
    prepare(mine, place)
    assert changes(mine, place) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else's")
def test_a_folder_of_somebody_elses_files_is_not_taken(mine: Context) -> None:
    (place,) = places(mine)
    (folder(mine) / "theirs").mkdir(parents=True)
    (folder(mine) / "version.txt").write_text("3")
    os.chown(folder(mine), 12345, 12345)
    with pytest.raises(Problem, match="root may not write") as caught:
        changes(mine, place)
    assert caught.value.hint == f"run: chown 0:0 {folder(mine)}"
    with pytest.raises(Problem):
        prepare(mine, place)
    assert folder(mine).stat().st_uid == 12345


def test_files_without_a_version_are_not_called_a_volume(mine: Context) -> None:
    (place,) = places(mine)
    (folder(mine) / "photos").mkdir(parents=True)
    with pytest.raises(Problem, match=r"has files in it, but no version\.txt"):
        prepare(mine, place)
    (folder(mine) / "version.txt").write_text("2")
    with pytest.raises(Problem, match="but version 2"):
        changes(mine, place)


@pytest.mark.parametrize("target", ["/etc/shadow", "/dev/zero", "secret", "pipe", "long", "words"])
def test_of_a_version_that_is_none_nothing_is_shown(
    mine: Context, tmp_path: Path, target: str
) -> None:
    """Services, sessions and servers can put anything there, and what is told of it is recorded."""
    (place,) = places(mine)
    (folder(mine) / "photos").mkdir(parents=True)
    file, secret = folder(mine) / "version.txt", tmp_path / "secret"
    secret.write_text("root:$y$hash\n")
    if target == "pipe":
        os.mkfifo(file)
    elif target in ("long", "words"):
        file.write_text("3" * 10_000_000 if target == "long" else "root:$y$hash")
    else:
        file.symlink_to(secret if target == "secret" else target)
    began = time.monotonic()
    with pytest.raises(Problem, match=r"version\.txt has no version in it") as caught:
        changes(mine, place)
    assert time.monotonic() - began < 2
    assert "hash" not in caught.value.message and "333" not in caught.value.message
    assert volumes.look(mine, place.path).version.startswith(volumes.NO_VERSION)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else's")
def test_a_link_of_somebody_else_leads_to_no_volume(facts: Facts, tmp_path: Path) -> None:
    """Where a volume lies in another one, whoever writes to that may exchange its folder."""
    outer, host = tmp_path / "outer", tmp_path / "host"
    for path in (outer, host):
        path.mkdir()
    os.chown(outer, 12345, 12345)
    (outer / "inner").symlink_to(host)
    ctx = Context(facts, Site(storage=Storage(volumes={"a": Volume(path=outer / "inner")})))
    (place,) = places(ctx)
    with pytest.raises(Problem, match="a link, in a folder that others than root may write to"):
        prepare(ctx, place)
    assert host.stat().st_uid == 0 and list(host.iterdir()) == []


def test_a_file_is_no_volume(mine: Context) -> None:
    (place,) = places(mine)
    mine.paths.volumes.mkdir()
    folder(mine).touch()
    with pytest.raises(Problem, match=r"volume1\) is not a directory"):
        changes(mine, place)


def test_a_read_only_file_system_is_named(mine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (place,) = places(mine)
    now = os.statvfs("/")
    fields = list(now)
    fields[8] = os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    with pytest.raises(Problem, match="mounted read-only"):
        changes(mine, place)


def test_a_dead_server_is_told_within_the_timeout(
    mine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place,) = places(mine)
    monkeypatch.setattr(volumes, "_look", lambda *_: time.sleep(5))
    began = time.monotonic()
    found = volumes.look(mine, place.path, 0.2)
    assert time.monotonic() - began < 2
    assert found.kind == "hangs"
    monkeypatch.setattr(volumes, "look", lambda *_: found)
    with pytest.raises(Pending, match="its server is down"):
        changes(mine, place)


def test_a_remote_folder_that_refuses_us_is_mended_at_its_server(facts: Facts) -> None:
    nas = Volume(kind="nfs", server="nas", export=Path("/srv/a"), path=facts.paths.volumes / "a")
    ctx = Context(facts, Site(storage=Storage(volumes={"a": nas})))
    (place,) = places(ctx)
    place.path.mkdir(parents=True)
    place.path.chmod(0o700)
    if os.geteuid() == facts.uid:
        pytest.skip("runs as the services' user")
    with pytest.raises(Problem) as caught:
        prepare(ctx, place)
    assert caught.value.hint == "run on nas: chown 1100:1100 /srv/a"


@pytest.mark.parametrize("place", ["folder", "version.txt"])
def test_a_remote_folder_that_is_closed_to_root_is_mended_at_its_server(
    mine: Context, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An export with root_squash, where root of this node is nobody; here root may all."""
    nas = Volume(kind="nfs", server="nas", export=Path("/srv/a"), path=mine.paths.volumes / "a")
    ctx = replace(mine, site=Site(storage=Storage(volumes={"a": nas})))
    (remote,) = places(ctx)
    remote.path.mkdir(parents=True)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    if place == "folder":
        monkeypatch.setattr(os, "listdir", refuse)
    else:
        monkeypatch.setattr(careful, "read_in", refuse)
    for attempt in (changes, prepare):
        with pytest.raises(Problem, match="root of this node may not enter it") as caught:
            attempt(ctx, remote)
        assert "Errno" not in caught.value.message
        owner = f"{os.geteuid()}:{os.getegid()}"
        assert caught.value.hint.startswith(f"on nas: chown {owner} /srv/a,")
        squash = f"root_squash,anonuid={os.geteuid()},anongid={os.getegid()}"
        assert caught.value.hint.endswith(squash)
    local = replace(remote, volume=Volume(path=remote.path))
    with pytest.raises(Problem) as caught:
        changes(ctx, local)
    assert caught.value.hint == f"check {remote.path}"


def test_sources_of_remote_volumes() -> None:
    volume = Volume(kind="nfs", server="2001:db8::5", export=Path("/srv/a"))
    assert Place("a", volume, Path("/a")).source == "[2001:db8::5]:/srv/a"
    assert Place("a", Volume(), Path("/a")).source == ""
