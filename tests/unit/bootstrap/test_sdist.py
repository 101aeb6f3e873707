from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from bootstrap.sdist import _extract_source, _normalised
from releasekit.errors import Failure

FILES = {"a.py": b"1", "b/c.py": b"2", "a-1.dist-info/RECORD": b"b/c.py,,\r\na.py,,\r\n"}


def wheel(folder: Path, names: list[str], year: int, compression: int) -> Path:
    folder.mkdir()
    path = folder / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), FILES[name])
    return path


def test_a_built_wheel_does_not_depend_on_order_clock_or_zlib(tmp_path: Path) -> None:
    names = list(FILES)
    one = wheel(tmp_path / "one", names, 1999, zipfile.ZIP_STORED)
    two = wheel(tmp_path / "two", names[::-1], 2033, zipfile.ZIP_DEFLATED)
    first = _normalised(one, one.parent).read_bytes()
    assert first == _normalised(two, two.parent).read_bytes()
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["a.py", "b/c.py", "a-1.dist-info/RECORD"]
        assert archive.read("a-1.dist-info/RECORD") == b"a.py,,\nb/c.py,,\n"


def test_a_source_archive_cannot_write_outside(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a/../../evil"), io.BytesIO())
    raw.seek(0)
    with tarfile.open(fileobj=raw) as tar, pytest.raises(Failure, match="leaves the archive"):
        _extract_source(tar, tmp_path / "source")
