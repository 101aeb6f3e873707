from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit.errors import Failure
from releasekit.wheel_files import FilesSpec, licenses, take


def test_files_are_taken_by_pattern_into_folders(
    make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    files = {"d/a.json": b"1", "d/b.json": b"2", "d/x.py": b"", "e/c.ini": b"3"}
    wheel = make_wheel(tmp_path, "data", files)
    spec = FilesSpec(str(wheel), str(tmp_path / "out"), {"d/*.json": "f", "e/*.ini": "g"})
    assert take(spec) == ["f/a.json", "f/b.json", "g/c.ini"]
    assert (tmp_path / "out/f/b.json").read_bytes() == b"2"


def test_a_pattern_that_finds_nothing_is_named(
    make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "data", {"a.json": b""})
    with pytest.raises(Failure, match=r"data-1\.0.*no file matches 'b/\*'"):
        take(FilesSpec(str(wheel), str(tmp_path), {"b/*": "f"}))


def test_what_the_wheel_says_of_its_licence_is_kept(
    make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    files = {"data-1.0.dist-info/licenses/LICENSE": b"Do as you like.\n"}
    rows = licenses(make_wheel(tmp_path, "data", files))
    assert rows == [{"name": "data", "version": "1.0", "license": "MIT", "text": "Do as you like."}]
