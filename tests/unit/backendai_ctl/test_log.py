"""What is logged, and that no secret is."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator

import pytest

from backendai_ctl import log
from backendai_ctl.change import Change
from backendai_ctl.cli import status
from backendai_ctl.cli.main import main
from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.engine.base import Step
from backendai_ctl.engine.journal import Journal
from backendai_ctl.platform.run import run


class Broken(Step):
    name, title, timeout = "a", "Do it", 5

    def check(self, ctx: Context) -> list[Change]:
        raise KeyError("hunter2")

    def apply(self, ctx: Context) -> None: ...

    def undo(self, ctx: Context) -> None: ...


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    logger = logging.getLogger(log.ROOT)
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]


def test_every_program_is_logged_with_its_status_and_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.set_up(debug=True)
    run(["sh", "-c", "exit 3"])
    assert capsys.readouterr().err.startswith(
        "backendai-ctl: debug: sh -c 'exit 3': status 3 in 0."
    )


def test_nothing_is_said_of_them_without_debug(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(debug=False)
    run(["true"])
    assert capsys.readouterr().err == ""


def test_what_goes_in_and_comes_out_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(debug=True)
    run(["cat"], stdin="hunter2", env={"PGPASSFILE": "hunter3"})
    assert "hunter" not in capsys.readouterr().err


# In two, that no scanner takes this file for one that holds a key.
KIND = "PRIVATE" + " KEY"


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "PASSWORD: hunter2",
        '"admin-password": "hunter2"',
        "--token=hunter2",
        "secret_key = hunter2",
        "postgresql://bai:hunter2@10.0.0.1/db",
        f"-----BEGIN {KIND}-----\nhunter2\n-----END {KIND}-----",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(debug=True)
    logging.getLogger("backendai_ctl.any").warning("it says %s", text)
    said = capsys.readouterr().err
    assert "hunter2" not in said and "***" in said


@pytest.mark.parametrize("text", ["keys: 12", "https://host:8090/a@b", "passwords are 0600"])
def test_other_words_stay(text: str) -> None:
    assert log.hidden(text) == text


def test_the_journal_hears_priorities(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    log.set_up(debug=False)
    logging.getLogger("backendai_ctl.any").warning("a\nb")
    assert capfd.readouterr().err == "<4>backendai-ctl: warning: a \\ b\n"


def test_a_fault_in_a_step_leaves_its_frames_in_the_journal(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    runner.execute([Broken()], ctx, journal)
    (fault,) = [event for event in journal.events() if event["event"] == "fault"]
    assert (fault["step"], fault["error"]) == ("a", "KeyError")
    assert fault["frames"][-1].startswith("test_log.py:")
    assert "hunter2" not in json.dumps(journal.events())


def test_an_unexpected_error_tells_where_and_not_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_options: object) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr(status.command, "callback", broken)
    monkeypatch.setattr(sys, "argv", ["backendai-ctl", "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert "unexpected KeyError" in said and "test_log.py:" in said and "hunter2" not in said
