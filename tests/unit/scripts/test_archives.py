from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from devtools.archives import difference, first_differing_bytes, members


def _zip(path: Path, files: dict[str, str], date: int = 1980) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (date, 1, 1, 0, 0, 0)), text)
    return path


def _tar(path: Path, mtime: int) -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("etc/one")
        info.size, info.mtime = 3, mtime
        archive.addfile(info, io.BytesIO(b"one"))
    return path


def test_a_member_with_other_content_is_named(tmp_path: Path) -> None:
    one = members(_zip(tmp_path / "a.pex", {"same": "x", "other": "1"}))
    two = members(_zip(tmp_path / "b.pex", {"same": "x", "other": "2"}))
    assert [line.splitlines()[0] for line in difference(one, two)] == ["other"]


def test_a_time_stamp_is_a_difference(tmp_path: Path) -> None:
    one = members(_zip(tmp_path / "a.pex", {"same": "x"}))
    two = members(_zip(tmp_path / "b.pex", {"same": "x"}, date=2026))
    assert "(2026, 1, 1, 0, 0, 0)" in difference(one, two)[0]


def test_the_owner_and_time_of_a_tar_member_are_shown(tmp_path: Path) -> None:
    (line,) = difference(members(_tar(tmp_path / "a.tar", 1)), members(_tar(tmp_path / "b.tar", 2)))
    assert "mtime 1 " in line and "mtime 2 " in line


def test_another_order_alone_is_a_difference(tmp_path: Path) -> None:
    one = members(_zip(tmp_path / "a.pex", {"x": "", "y": ""}))
    two = members(_zip(tmp_path / "b.pex", {"y": "", "x": ""}))
    assert difference(one, two) == ["the same members in another order"]


def test_a_missing_member_is_named() -> None:
    assert difference({"a": "1"}, {"b": "1"}) == ["only in the first: a", "only in the second: b"]


def test_a_file_that_is_no_archive_has_no_members(tmp_path: Path) -> None:
    path = tmp_path / "plain.json"
    path.write_text("{}")
    assert members(path) == {}


def test_a_damaged_deb_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.deb"
    path.write_bytes(b"!<arch>\nnonsense")
    assert members(path) == {}


def test_the_first_differing_bytes_are_found_beyond_the_first_block(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    data = bytearray(3 << 20)
    one.write_bytes(data)
    data[2_000_000] = data[2_000_005] = 1
    two.write_bytes(data)
    assert first_differing_bytes(one, two) == [2_000_000, 2_000_005]


def test_a_file_that_ends_early_differs_at_its_end(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"abcd")
    assert first_differing_bytes(one, two) == [3]
    assert first_differing_bytes(one, one) == []
