from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.files import Entry, Store, fingerprint, fresh_dir, remove_tree, write_atomic


def entry(data: bytes, name: str = "a.whl") -> Entry:
    return Entry("1.0", name, hashlib.sha256(data).hexdigest(), len(data))


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_file_enters_the_store_verified_and_read_only(tmp_path: Path) -> None:
    source = tmp_path / "download"
    source.write_bytes(b"wheel")
    store, wanted = Store(tmp_path / "files"), entry(b"wheel")
    assert not store.has(wanted)
    path = store.add(wanted, source)
    assert path == tmp_path / "files" / wanted.sha256 / "a.whl" == store.path(wanted)
    assert store.has(wanted)
    assert path.stat().st_mode & 0o777 == 0o444
    assert source.exists()


@pytest.mark.parametrize("data", [b"whee1", b"wheel and more", b""])
def test_a_wrong_file_never_enters(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "download"
    source.write_bytes(data)
    store, wanted = Store(tmp_path / "files"), entry(b"wheel")
    with pytest.raises(Failure, match=r"a\.whl.*the lock says"):
        store.add(wanted, source)
    assert not store.has(wanted)
    assert names(store.root) == []


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = tmp_path / "download"
    source.write_bytes(b"wheel")
    monkeypatch.setattr("releasekit.files.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        Store(tmp_path / "files").add(entry(b"wheel"), source)
    assert names(tmp_path / "files") == []


def test_write_atomic_replaces_or_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    write_atomic(path, b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("releasekit.files.os.fsync", full)
    with pytest.raises(OSError, match="full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["lock"]


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        write_atomic(tmp_path / "x", b"", mode=0o755)
        with fresh_dir(tmp_path / "d") as folder:
            (folder / "f").touch()
    finally:
        os.umask(mask)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o755


def test_fresh_dir_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "d"
    with pytest.raises(RuntimeError), fresh_dir(final) as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for name in ("first", "second"):
        with fresh_dir(final) as folder:
            (folder / name).touch()
    assert names(tmp_path) == ["d/second"]


def test_remove_tree_takes_read_only_folders_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "d" / "sub"
    folder.mkdir(parents=True)
    (folder / "f").touch()
    folder.chmod(0o500)
    link = tmp_path / "link"
    link.symlink_to("d")
    remove_tree(link)
    assert (folder / "f").exists()
    remove_tree(tmp_path / "d")
    remove_tree(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_fingerprints_keep_parts_apart() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert len(fingerprint("x")) == 16
