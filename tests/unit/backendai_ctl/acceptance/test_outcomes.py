"""Promises of backendai_ctl.acceptance.outcomes: whatever a session answers, the rest is tried and told."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backendai_ctl.acceptance import report
from backendai_ctl.acceptance.account import Account
from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.acceptance.outcomes import Skip, Trials
from backendai_ctl.acceptance.visitor import Visitor
from backendai_ctl.engine import runner
from backendai_ctl.errors import Problem


def kernel(**result: Any) -> Visitor:
    """Of a session that answers each request so."""
    site = SimpleNamespace(sign_in=lambda *_: None, ask=lambda *_: {"result": result})
    return Visitor(cast(Browser, site), Account("a@accept.invalid", "", "default", "default"))


def tried(do: Any, limit: int = 5) -> tuple[str, str]:
    """Level and message."""
    trials = Trials(lambda _: None)
    trials.attempt("node a", "computing", do, limit=limit)
    (outcome,) = trials.outcomes
    return outcome.level, outcome.message


def test_an_answer_that_is_none_ends_one_trial() -> None:
    def folder(visitor: Visitor) -> str:
        return str(json.loads(visitor.compute("s", ""))["folder"])

    for odd in ("", "[", "[" * 50_000, "[]", "{}", "1"):
        visitor = kernel(console=[["stdout", odd]], status="finished")
        level, message = tried(partial(folder, visitor))
        assert level == "fail" and "no answer that is understood" in message
    assert tried(lambda: kernel(console=5).compute("s", ""))[0] == "fail"


def test_a_session_that_never_ends_takes_no_memory_and_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "GRACE", 0)
    loud = kernel(console=[["stdout", "x" * 1000]], status="continued")
    assert (
        tried(lambda: loud.compute("s", ""), 5)[1] == "the snippet prints more than it was told to"
    )
    silent, began = kernel(console=[], status="continued"), time.monotonic()
    assert tried(lambda: silent.compute("s", ""), 1) == ("fail", "computing was not done after 1 s")
    assert time.monotonic() - began < 4


def test_what_a_session_says_is_one_line_of_the_report(tmp_path: Path) -> None:
    said = "\x1b[2J\x9b2J\nok   node b: session: fine\u202e\ud800" + "x" * 5000
    visitor = kernel(console=[["stderr", said]], status="finished")
    trials = Trials(lambda _: None)
    trials.attempt("node a", "computing", lambda: visitor.compute("s", ""))
    (outcome,) = trials.outcomes
    assert outcome.message.isprintable() and len(outcome.message) <= 500
    made = report.make("1", "https://x", "image", trials.outcomes, report.Last("", {}))
    written = report.write(made, tmp_path)
    assert json.loads(written.json.read_text())["outcomes"][0]["message"] == outcome.message
    assert len(written.text.read_text().splitlines()) == 3


def test_a_problem_is_told_with_its_hint() -> None:
    def fail() -> str:
        raise Problem("no", hint="do")

    trials = Trials(lambda _: None)
    assert not trials.attempt("g", "n", fail, "look")
    assert (trials.outcomes[0].message, trials.outcomes[0].hint) == ("no", "do")


def test_what_cannot_be_tried_here_is_no_failure() -> None:
    def cannot() -> str:
        raise Skip("no core is free")

    assert tried(cannot) == ("skip", "no core is free")
