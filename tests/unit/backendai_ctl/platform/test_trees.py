"""Removing folders: all of it and nothing else, however it is joined to other places."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backendai_ctl.errors import Problem
from backendai_ctl.platform import careful, trees

SOURCES = Path(trees.__file__).parents[2]
NAMESPACE = ["unshare", "--map-root-user", "--mount"]
# Binds a folder of the same file system, which no device number tells from its surroundings.
BIND = """
import subprocess, sys
from pathlib import Path
from backendai_ctl.errors import Problem
from backendai_ctl.platform import trees
disk, volume = map(Path, sys.argv[1:3])
subprocess.run(["mount", "--bind", disk, volume / "in it/mnt"], check=True)
if sys.argv[3] == "unseen":
    trees.mounts_in = lambda _path: []
try:
    trees.remove(volume)
except Problem as problem:
    print(problem.message)
"""


def full(folder: Path) -> Path:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/file").write_text("x")
    (folder / "a/b/file").write_text("x")
    os.mkfifo(folder / "pipe")
    return folder


def test_all_that_is_in_it_goes_and_links_lead_nowhere(tmp_path: Path) -> None:
    kept = full(tmp_path / "kept")
    gone = full(tmp_path / "gone")
    (gone / "a/link").symlink_to(kept)
    trees.remove(gone)
    trees.remove(gone)
    assert not gone.exists() and (kept / "a/b/file").exists()


def test_it_may_be_deeper_than_there_are_handles(tmp_path: Path) -> None:
    here = os.open(full(tmp_path / "gone"), os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    trees.remove(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_a_link_in_its_place_is_no_folder(tmp_path: Path) -> None:
    kept = full(tmp_path / "kept")
    (tmp_path / "link").symlink_to(kept)
    with pytest.raises(Problem):
        trees.remove(tmp_path / "link")
    assert (kept / "a/file").exists()


def test_another_folder_than_the_one_that_was_meant_stays(tmp_path: Path) -> None:
    with careful.folder(full(tmp_path / "meant")) as at:
        meant = careful.identity(at)
    (tmp_path / "meant").rename(tmp_path / "moved")
    full(tmp_path / "meant")
    with pytest.raises(Problem, match="another folder"):
        trees.remove(tmp_path / "meant", meant)
    assert (tmp_path / "meant/a/file").exists()
    trees.remove(tmp_path / "moved", meant)
    assert not (tmp_path / "moved").exists()


@pytest.mark.skipif(
    subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0,
    reason="no mounts may be made here",
)
@pytest.mark.parametrize("how", ["seen", "unseen"])
def test_what_is_mounted_in_it_stays_also_if_it_was_mounted_just_now(
    tmp_path: Path, how: str
) -> None:
    disk, volume = full(tmp_path / "disk"), full(tmp_path / "volume")
    (volume / "in it/mnt").mkdir(parents=True)
    call = [*NAMESPACE, sys.executable, "-c", BIND, str(disk), str(volume), how]
    done = subprocess.run(
        call,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    expected = "/volume/in it/mnt is mounted" if how == "seen" else "is another file system"
    assert expected in done.stdout
    assert (disk / "a/b/file").exists() and (disk / "a/file").exists()
    assert (volume / "a/file").exists() == (how == "seen")
