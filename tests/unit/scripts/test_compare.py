from __future__ import annotations

from pathlib import Path

import pytest

from devtools.compare import Row, compare, explain, most_telling


def _folders(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, other in ((one, b"1"), (two, b"2")):
        (folder / "deeper").mkdir(parents=True)
        (folder / "same.deb").write_bytes(b"same")
        (folder / "deeper/other.rpm").write_bytes(other)
    (one / "lost.pex").write_bytes(b"")
    (two / "new.pex").write_bytes(b"")
    return one, two


def test_every_artefact_of_either_folder_has_a_row(tmp_path: Path) -> None:
    rows = {row.name: row.result for row in compare(*_folders(tmp_path))}
    assert rows == {
        "deeper/other.rpm": "DIFFERENT",
        "lost.pex": "ONLY IN THE FIRST",
        "new.pex": "ONLY IN THE SECOND",
        "same.deb": "same",
    }


def test_the_smallest_differing_artefact_is_looked_into_before_the_lists_of_all() -> None:
    rows = [
        Row("SHA256SUMS", "DIFFERENT", 1, ""),
        Row("big.deb", "DIFFERENT", 900, ""),
        Row("small.deb", "DIFFERENT", 100, ""),
        Row("same.deb", "same", 10, ""),
    ]
    telling = most_telling(rows)
    assert telling is not None and telling.name == "small.deb"
    assert most_telling(rows[3:]) is None


def test_without_diffoscope_the_offsets_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devtools.compare.which", lambda name: None)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abcd")
    two.write_bytes(b"abXd")
    assert explain(one, two) == "4 and 4 bytes; the first bytes that differ are at 2"
