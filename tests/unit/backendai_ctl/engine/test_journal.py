"""Promises of backendai_ctl.engine.journal: what a run left is read by the next release, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import Pending, Problem


def test_the_outcome_that_an_earlier_release_kept_is_read(tmp_path: Path) -> None:
    row = {"state": "pending", "what": "etcd is down", "hint": "start it"}
    journal = Journal(tmp_path)
    journal.result.write_text(json.dumps({"finished": "x", "steps": {"seed-etcd": row}}))
    (found,) = (Outcome(**row) for row in journal.last()["steps"].values())
    assert found == Outcome("pending", "etcd is down", "start it")


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    outcome = Outcome("failed", "disk full", "free some", 1.5)
    Journal(tmp_path).finish({"a": outcome, "b": Outcome("same")})
    assert Journal(tmp_path).last()["steps"] == {
        "a": {"state": "failed", "message": "disk full", "hint": "free some"},
        "b": {"state": "done", "message": "", "hint": ""},
    }


@pytest.mark.parametrize(
    ("state", "kind"), [("failed", Problem), ("pending", Pending), ("blocked", Pending)]
)
def test_a_step_that_waits_is_pending(state: str, kind: type[Problem]) -> None:
    error = Outcome(state, "etcd is down", "start it").error("seed-etcd")
    assert type(error) is kind
    assert str(error) == "seed-etcd: etcd is down\nhint: start it"
