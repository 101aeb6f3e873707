"""The tar of a bundle is read as it was packed, and no other tar is read at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release_tool import archive
from releasekit.errors import Failure
from releasekit.tarball import pack

parts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,8}", fullmatch=True) | st.just("n" * 90)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
contents = st.binary(max_size=1100)
trees = st.dictionaries(paths, contents, max_size=5).filter(
    lambda tree: not any(one.startswith(f"{other}/") for one in tree for other in tree)
)
stamps = st.integers(0, 2**33 - 1)


def packed(tree: dict[str, bytes], mtime: int, folder: Path) -> Path:
    for name, data in tree.items():
        path = folder / "in/top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if data[:1] > b"\x80" else 0o644)
    (folder / "in/top").mkdir(parents=True, exist_ok=True)
    pack(folder / "in", folder / "x.tar", mtime=mtime)
    return folder / "x.tar"


def held(tar: Path) -> dict[str, bytes]:
    data = tar.read_bytes()
    return {m.name: data[m.offset : m.offset + m.size] for m in archive.read(tar).members}


@given(trees, stamps)
def test_what_was_packed_is_read(tree: dict[str, bytes], mtime: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tar = packed(tree, mtime, Path(folder))
        assert held(tar) == tree
        found = archive.read(tar)
        assert (found.top, found.mtime) == ("top", mtime)


@given(trees, st.integers(0), st.integers(1, 255))
def test_outside_of_contents_no_byte_may_differ(tree: dict[str, bytes], at: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tar = packed(tree, 1_700_000_000, Path(folder))
        data = bytearray(tar.read_bytes())
        at %= len(data)
        data[at] ^= flip
        found = archive.read(tar).members
        tar.write_bytes(data)
        if any(member.offset <= at < member.offset + member.size for member in found):
            assert archive.read(tar).members == found
        else:
            with pytest.raises(Failure):
                archive.read(tar)


@given(trees, st.integers(0))
def test_what_is_cut_short_or_goes_on_is_refused(tree: dict[str, bytes], at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tar = packed(tree, 1_700_000_000, Path(folder))
        data = tar.read_bytes()
        for other in (data[: at % len(data)], data + b"\0" * (1 + at % 20000), data + data):
            tar.write_bytes(other)
            with pytest.raises(Failure):
                archive.read(tar)


@given(st.binary(max_size=1500))
def test_what_is_no_tar_is_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.tar")
        path.write_bytes(data)
        with pytest.raises(Failure):
            archive.read(path)
