"""Looks into folders of others: no link of theirs is followed, nothing endless or silent is read."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from backendai_ctl.errors import Problem
from backendai_ctl.platform import careful, files

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
SERVICE = 54321  # a user that owns a folder and may put anything there


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder that a service owns, below one of root's."""
    made = tmp_path / "theirs"
    made.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(made, SERVICE, SERVICE)
    return made


def plant(folder: Path, name: str, target: Path | str) -> Path:
    """A link of the service's."""
    link = folder / name
    link.symlink_to(target)
    if os.geteuid() == 0:
        os.lchown(link, SERVICE, SERVICE)
    return link


def refused(path: Path, limit: int = 16) -> int | None:
    began = time.monotonic()
    with pytest.raises(OSError) as caught:
        careful.read(path, limit)
    assert time.monotonic() - began < 2
    return caught.value.errno


def test_a_file_is_read_as_far_as_was_said(theirs: Path) -> None:
    (theirs / "file").write_text("3")
    assert careful.read(theirs / "file", 1) == b"3"
    assert careful.read(theirs / "absent", 1) is None
    assert careful.read(theirs / "absent/file", 1) is None
    (theirs / "file").write_text("33")
    assert refused(theirs / "file", 1) == errno.EFBIG


@pytest.mark.parametrize("target", ["/etc/shadow", "/etc/passwd", "/dev/zero", "nothing"])
def test_a_link_in_the_place_of_a_file_is_refused(theirs: Path, target: str) -> None:
    assert refused(plant(theirs, "version.txt", target)) == errno.ELOOP


def test_so_is_a_pipe_which_nobody_writes_to(theirs: Path) -> None:
    os.mkfifo(theirs / "version.txt")
    assert refused(theirs / "version.txt") == errno.EINVAL


def test_and_a_folder(theirs: Path) -> None:
    (theirs / "version.txt").mkdir()
    assert refused(theirs / "version.txt") == errno.EINVAL


@root
def test_a_link_of_theirs_on_the_way_is_refused(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("s")
    plant(theirs, "way", tmp_path / "secret")
    assert refused(theirs / "way/file") == errno.ELOOP
    with pytest.raises(OSError, match="others than root"), careful.folder(theirs / "way"):
        pass


@root
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_and_one_in_a_folder_that_others_write_to(tmp_path: Path, mode: int) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    (tmp_path / "shared/link").symlink_to("/etc")
    assert refused(tmp_path / "shared/link/passwd", 1 << 20) == errno.ELOOP


def test_a_link_of_the_operator_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk/volume").mkdir(parents=True)
    (tmp_path / "disk/volume/file").write_text("x")
    (tmp_path / "absolute").symlink_to(tmp_path / "disk")
    (tmp_path / "relative").symlink_to("absolute/../disk")
    for way in ("absolute", "relative"):
        assert careful.read(tmp_path / way / "volume/file", 1) == b"x"
        with careful.folder(tmp_path / way) as at:
            assert os.listdir(at) == ["volume"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert refused(tmp_path / "one/file") == errno.ELOOP


def test_handles_are_closed(theirs: Path) -> None:
    before = os.listdir("/proc/self/fd")
    (theirs / "a/b").mkdir(parents=True)
    for path in (theirs / "a/b/c", theirs / "x/y", Path("/dev/null/x")):
        try:
            careful.read(path, 1)
        except OSError:
            continue
    with careful.folder(theirs / "a/b"):
        pass
    assert os.listdir("/proc/self/fd") == before


@root
def test_nothing_is_written_made_or_removed_through_a_link_of_theirs(
    theirs: Path, tmp_path: Path
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "kept").write_text("kept")
    plant(theirs, "conf.d", host)
    for attempt in (
        lambda: files.write(theirs / "conf.d/new", "x"),
        lambda: files.write(theirs / "conf.d/deep/new", "x"),
        lambda: files.make_folder(theirs / "conf.d", mode=0o700, owner=(SERVICE, SERVICE)),
        lambda: files.make_folder(theirs / "conf.d/new", mode=0o700),
        lambda: files.remove(theirs / "conf.d/kept"),
    ):
        with pytest.raises(Problem, match="others than root"):
            attempt()
    assert [p.name for p in host.iterdir()] == ["kept"]
    assert (host.stat().st_uid, host.stat().st_mode & 0o7777) == (0, 0o755)
    assert not files.holds(theirs / "conf.d/kept", "kept")


def test_a_link_is_replaced_and_removed_itself(theirs: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("as it was")
    link = plant(theirs, "file", target)
    assert not files.holds(link, "as it was")
    assert files.write(link, "new") and not link.is_symlink() and files.holds(link, "new")
    assert files.remove(plant(theirs, "other", target)) and not files.remove(theirs / "other")
    assert target.read_text() == "as it was"
