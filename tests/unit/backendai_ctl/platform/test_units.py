"""Writing unit files: only what differs, noticed until systemd has read it, gone without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.errors import Problem
from backendai_ctl.platform import systemd, units


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> units.File:
    monkeypatch.setattr(units, "FOLDER", tmp_path)
    return units.drop_in("x.service", "ours.conf", "[Service]\n")


def test_what_differs_is_told_and_written(
    file: units.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *words: calls.append(words))
    monkeypatch.setattr(systemd, "properties", lambda *_: {"NeedDaemonReload": "no"})
    assert [change.what for change in units.stale([file], "x.service")] == [str(file.path)]
    units.write([file])
    assert units.stale([file], "x.service") == []
    assert calls == [("daemon-reload",)]


def test_a_kill_before_systemd_read_it_is_noticed(
    file: units.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: False)
    units.write([file])
    monkeypatch.setattr(systemd, "properties", lambda *_: {"NeedDaemonReload": "yes"})
    assert [change.what for change in units.stale([file], "x.service")] == ["x.service"]


def test_removing_leaves_no_empty_folder_and_keeps_those_of_others(
    file: units.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: False)
    units.write([file])
    theirs = file.path.with_name("theirs.conf")
    theirs.touch()
    units.remove([file])
    assert theirs.exists()
    theirs.unlink()
    units.remove([file])
    assert not file.path.parent.exists()


@pytest.mark.parametrize("value", ["a\nUser=root", "a\rb", "a\0b", "\x1b[2J", "\x9b2J", "a\u2028b"])
def test_a_value_adds_no_line_of_its_own(value: str, tmp_path: Path) -> None:
    """Whatever checks it passed before: a setting that it brought along would be root's."""
    with pytest.raises(Problem, match="what: a value has a control character") as caught:
        units.filled("[Service]\nEnvironment={what}\n", what=value)
    assert value not in caught.value.message
    if "\n" not in value:
        with pytest.raises(Problem, match="control character"):
            units.File(tmp_path / "x.conf", f"[Service]\nEnvironment={value}\n")
