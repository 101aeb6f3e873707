from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from releasekit.tarball import file_mode, pack, unpack

STAMP = 1_700_000_000


def tree(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "link").symlink_to("a/x")
    return root


def test_bytes_depend_on_names_modes_and_contents_alone(tmp_path: Path) -> None:
    names = ["a/x", "b", "a/y"]
    one, two = tree(tmp_path / "one", names), tree(tmp_path / "two", names[::-1])
    os.utime(two / "b", (1, 1))
    (two / "a").chmod(0o700)
    (two / "b").chmod(0o600)
    listed = pack(one, tmp_path / "1.tar", mtime=STAMP)
    pack(two, tmp_path / "2.tar", mtime=STAMP)
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    assert listed == ["a", "a/x", "a/y", "b", "link"]


def test_entries_belong_to_root_and_have_the_stamp(tmp_path: Path) -> None:
    pack(tree(tmp_path / "tree", ["a/x"]), tmp_path / "t.tar", mtime=STAMP)
    with tarfile.open(tmp_path / "t.tar") as tar:
        assert {(m.uid, m.gid, m.uname, m.mtime) for m in tar} == {(0, 0, "", STAMP)}


@pytest.mark.parametrize(
    ("mode", "shown"), [(0o600, 0o644), (0o666, 0o644), (0o700, 0o755), (0o4755, 0o755)]
)
def test_no_umask_ever_shows(tmp_path: Path, mode: int, shown: int) -> None:
    (tmp_path / "f").write_text("")
    (tmp_path / "f").chmod(mode)
    assert file_mode(tmp_path / "f") == shown


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    source = tree(tmp_path / "tree", ["a/x", "b"])
    (source / "b").chmod(0o755)
    pack(source, tmp_path / "t.tar", mtime=STAMP)
    unpack(tmp_path / "t.tar", tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "a/x").read_text() == "a/x"
    assert os.readlink(out / "link") == "a/x"
    assert (out / "b").stat().st_mode & 0o777 == 0o755
    assert (out / "a/x").stat().st_mode & 0o777 == 0o644
    assert (out / "a/x").stat().st_mtime == STAMP


def test_trees_may_share_folders(tmp_path: Path) -> None:
    for name in ("x", "y"):
        folder = tmp_path / name / "a"
        folder.mkdir(parents=True)
        (folder / name).write_text("")
        pack(tmp_path / name, tmp_path / f"{name}.tar", mtime=STAMP)
        unpack(tmp_path / f"{name}.tar", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out/a").iterdir()) == ["x", "y"]
