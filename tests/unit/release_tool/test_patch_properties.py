"""A patch makes the new file of the old one, bit for bit, or says that it cannot."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from release_tool.bundle import Place
from release_tool.matching import COPY, NEAR, NEW, chunks, runs, xor
from release_tool.patch import Scratch, _number, _read_number, apply_patch, make_patch
from release_tool.repack import UNKNOWN, packed, pieces_of, unpacked
from releasekit.errors import Failure
from tests.unit.release_tool.conftest import deb

# Stretches long enough to be found again, some of them alike but for a byte, and noise between.
stretches = st.sampled_from(
    [
        bytes(range(256)) * 3,
        bytes(range(255, -1, -1)) * 2,
        b"\0" * 700,
        b"\x05\x31 border" * 90,
        (bytes(range(256)) * 3).replace(b"\x10\x11", b"\x10\x99"),
        b"x",
    ]
)
files = st.lists(stretches | st.binary(max_size=40), max_size=6).map(b"".join)


def scratch(data: bytes) -> Scratch:
    return Scratch([data], Path(tempfile.gettempdir()))


def patched(old: bytes, patch: bytes) -> bytes:
    with scratch(old) as before:
        return b"".join(apply_patch(before, io.BytesIO(patch)))


def patch_of(old: bytes, new: bytes) -> bytes:
    with scratch(old) as before, scratch(new) as after:
        return b"".join(make_patch(before, after))


@given(files, files)
def test_the_new_file_comes_back(old: bytes, new: bytes) -> None:
    assert patched(old, patch_of(old, new)) == new


@given(files, files)
def test_runs_are_the_new_file_without_a_gap(old: bytes, new: bytes) -> None:
    at = 0
    for run in runs(old, new):
        assert run.at == at and run.size > 0 and run.how in (COPY, NEAR, NEW)
        before = old[run.old : run.old + run.size]
        if run.how != NEW:
            assert run.old >= 0 and len(before) == run.size
        if run.how == COPY:
            assert before == new[at : at + run.size]
        at += run.size
    assert at == len(new)


@given(files)
def test_chunks_have_no_gap_and_what_is_there_is_copied(data: bytes) -> None:
    ends = list(chunks(data))
    assert b"".join(data[start:end] for start, end in ends) == data
    assert all(start < end for start, end in ends)
    if data:
        assert [run.how for run in runs(data, data)] == [COPY]


@given(files, files, st.integers(0), st.integers(1, 255))
def test_a_damaged_patch_is_told_or_makes_another_file(
    old: bytes, new: bytes, at: int, flip: int
) -> None:
    """Another file is found by its sha256; nothing but a Failure may come of it here."""
    patch = bytearray(patch_of(old, new))
    patch[at % len(patch)] ^= flip
    with contextlib.suppress(Failure):
        patched(old, bytes(patch))
    with contextlib.suppress(Failure):
        patched(old[: len(old) // 2], patch_of(old, new))


@given(st.binary(max_size=50))
def test_what_is_no_patch_is_told(data: bytes) -> None:
    with contextlib.suppress(Failure):
        patched(b"old", data)


@given(st.integers(0, 2**63), st.binary(max_size=9))
def test_numbers_come_back(value: int, behind: bytes) -> None:
    stream = io.BytesIO(_number(value) + behind)
    assert _read_number(stream) == value and stream.read() == behind


@given(
    st.binary(max_size=300).flatmap(
        lambda one: st.tuples(st.just(one), st.binary(min_size=len(one), max_size=len(one)))
    )
)
def test_xor_is_its_own_inverse(pair: tuple[bytes, bytes]) -> None:
    one, two = pair
    assert len(xor(one, two)) == len(one)
    assert xor(one, xor(one, two)) == two


@settings(max_examples=15)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), files, max_size=3),
    st.sampled_from([0, 1, 3, 5]),
    st.booleans(),
)
def test_a_package_is_packed_again_as_it_was(
    held: dict[str, bytes], preset: int, presets: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.deb")
        path.write_bytes(deb(held, mtime=1, preset=preset))
        place = Place(path, 0, path.stat().st_size)
        pieces = pieces_of(place, presets=presets)
        plain = b"".join(unpacked(place, pieces))
        assert len(plain) == sum(piece.size for piece in pieces)
        assert all(data in plain for data in held.values())
        assert sum(piece.packed for piece in pieces) == place.size
        known = all(piece.preset != UNKNOWN for piece in pieces)
        assert known == (presets and preset > 0)
        if known:  # in whatever blocks it comes
            blocks = [plain[at : at + 1000] for at in range(0, len(plain), 1000)]
            assert b"".join(packed(blocks, pieces)) == path.read_bytes()
