from __future__ import annotations

import io

import pytest

from bootstrap.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bootstrap.progress.time.monotonic", lambda: now[0])
    log = io.StringIO()
    step = Progress("wheels", 3, 270_000_000, log)
    step.add(1, 98_000_000)
    now[0] = 11
    step.add(1, 2_000_000)
    step.end()
    assert log.getvalue() == "  wheels 2/3, 100 of 270 MB\n" * 2
    assert "\r" not in log.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    step = Progress("wheels", 2, 10_000_000, screen)
    step.add(1, 5_000_000)
    step.end()
    assert "[############------------] wheels 1/2, 5 of 10 MB" in screen.getvalue()
    assert screen.getvalue().endswith("  wheels 1/2, 5 of 10 MB\n")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Terminal()
    Progress("x", 1, 0, screen).end()
    assert screen.getvalue() == "  x 0/1\n"
