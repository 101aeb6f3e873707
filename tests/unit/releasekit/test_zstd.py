from __future__ import annotations

import random
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.zstd import compressed

MAGIC = b"\x28\xb5\x2f\xfd"


def packed(blocks: list[bytes], **options: int) -> bytes:
    given = {"size": sum(map(len, blocks)), "level": 3, "window": 20, **options}
    return b"".join(compressed(blocks, **given))


def test_the_bytes_do_not_depend_on_how_the_input_is_cut() -> None:
    data = random.Random(1).randbytes(300_000) * 2
    whole = packed([data])
    assert whole[:4] == MAGIC
    assert packed([data[i : i + 7777] for i in range(0, len(data), 7777)]) == whole


def test_what_repeats_far_back_is_found_in_a_wide_window() -> None:
    data = random.Random(2).randbytes(3 << 20) * 2
    assert len(packed([data], window=23)) < 0.6 * len(packed([data], window=20))


def test_nothing_is_a_frame_too() -> None:
    assert packed([])[:4] == MAGIC


@pytest.mark.parametrize("size", [5, 7])
def test_another_size_than_was_said_is_refused(size: int) -> None:
    with pytest.raises(Failure, match="libzstd"):
        packed([b"sixsix"[:6]], size=size)


def test_an_impossible_level_is_refused() -> None:
    with pytest.raises(Failure, match="libzstd"):
        packed([b"x"], window=99)


def test_a_python_without_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from releasekit import zstd

    zstd._library.cache_clear()
    monkeypatch.setattr(zstd, "LIBRARY", str(tmp_path / "libzstd.so.1"))
    with pytest.raises(Failure, match="finds no"):
        packed([b"x"])
    zstd._library.cache_clear()
