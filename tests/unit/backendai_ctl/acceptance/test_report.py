"""Promises of backendai_ctl.acceptance.report: compared with the last one, readable, without surprises."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from backendai_ctl.acceptance import report
from backendai_ctl.acceptance.report import Last, Report
from backendai_ctl.acceptance.trials import Outcome

FINE = Outcome("node a", "session", "ok", "image runs", "", 12.0)
BROKEN = Outcome("node a", "notebook", "fail", "HTTP 502: <b>bad</b>", "see: logs", 1.5)
NONE = Last("", {})


def made(*outcomes: Outcome, last: Last = NONE, time: str = "2026-11-30T08:00:00+00:00") -> Report:
    return Report("26.9.6-2", "a", time, "https://ai.example:8090", "one", outcomes, last)


def test_it_is_written_for_each_reader(tmp_path: Path) -> None:
    written = report.write(made(FINE, BROKEN), tmp_path)
    data = json.loads(written.json.read_text())
    assert data["ok"] is False and data["last"] is None
    assert data["errors"] == [
        {"message": "node a: notebook: HTTP 502: <b>bad</b>", "hint": "see: logs"}
    ]
    text = written.text.read_text()
    assert "ok   node a: session: image runs, 12.0 s\n" in text
    assert "hint: see: logs\n" in text and text.endswith("FAILED: 1 of 2\n")
    page = written.html.read_text()
    assert "HTTP 502: &lt;b&gt;bad&lt;/b&gt;" in page and written.sha256 in page
    for path in (written.json, written.text, written.html):
        assert path.stat().st_mode & 0o777 == 0o640
    assert written.signature is None


def test_the_next_one_says_what_changed(tmp_path: Path) -> None:
    report.write(made(FINE, replace(BROKEN, level="ok")), tmp_path)
    last = report.newest(tmp_path)
    again = made(replace(FINE, seconds=30.0), BROKEN, last=last, time="2026-12-01T08:00:00+00:00")
    written = report.write(again, tmp_path)
    text = written.text.read_text()
    assert "image runs, 30.0 s (last: 12.0 s)\n" in text
    assert "1.5 s (last: ok, 1.5 s)\n" in text
    assert report.newest(tmp_path).time == "2026-12-01T08:00:00+00:00"
    assert json.loads(written.json.read_text())["outcomes"][0]["before"] == {
        "level": "ok",
        "seconds": 12.0,
    }


def test_what_was_not_tried_this_time_is_named(tmp_path: Path) -> None:
    report.write(made(FINE, BROKEN), tmp_path)
    again = made(FINE, last=report.newest(tmp_path))
    assert again.missing == ["node a: notebook"]
    assert "not tried, and was on 2026-11-30T08:00:00+00:00: node a: notebook" in (
        report.write(again, tmp_path / "other").text.read_text()
    )


def test_a_folder_of_other_things_has_no_last_report(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01T000000Z.json").write_text("{")
    (tmp_path / "2026-01-02T000000Z.json").write_text('{"format": 7}')
    (tmp_path / "2026-01-03T000000Z.json").write_text(
        '{"format": 1, "time": "x", "outcomes": [{}]}'
    )
    (tmp_path / "2026-01-04T000000Z.json").write_text('["format"]')
    os.mkfifo(tmp_path / "2026-01-05T000000Z.json")
    assert report.newest(tmp_path) == NONE


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """It may be /tmp, or somebody's home."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.chmod(0o1777)
    assert report.newest(theirs) == NONE == report.newest(tmp_path / "absent")
    report.write(made(FINE), theirs)
    assert theirs.stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "absent").stat().st_mode & 0o7777 == 0o750
