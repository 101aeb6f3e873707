"""Promises of backendai_ctl.errors: one exit status and one JSON for each kind of error."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_PENDING,
    EXIT_REQUEST,
    EXIT_STATUSES,
    BadRequest,
    Interrupted,
    OutOfTime,
    Pending,
    Problem,
    exit_status,
    summary,
)
from backendai_ctl.site.faults import Fault, SiteFaults

FAILED, WRONG, WAITS = Problem("disk full", hint="free some"), BadRequest("no"), Pending("later")


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([], EXIT_OK),
        ([WAITS], EXIT_PENDING),
        ([WAITS, WRONG], EXIT_REQUEST),
        ([WAITS, WRONG, FAILED], EXIT_FAILED),
        ([OutOfTime("late"), WAITS], EXIT_FAILED),
    ],
)
def test_the_worst_of_several_errors_gives_the_exit_status(
    errors: list[Problem], status: int
) -> None:
    assert exit_status(errors) == status


def test_every_status_has_a_meaning() -> None:
    kinds = (Problem, BadRequest, Pending, Interrupted)
    assert {EXIT_OK, *(kind.exit_code for kind in kinds)} == {*EXIT_STATUSES}


def test_ok_is_that_there_are_no_errors() -> None:
    assert summary([]) == {"ok": True, "errors": []}
    assert summary([FAILED]) == {
        "ok": False,
        "errors": [{"message": "disk full", "hint": "free some"}],
    }


def test_each_fault_of_a_site_file_is_an_error_with_its_place() -> None:
    faults = SiteFaults(Path("/s"), [Fault(("a", "b"), "is no c", "say c", 3)])
    row = {"file": "/s", "line": 3, "key": "a.b", "message": "is no c", "hint": "say c"}
    assert summary([faults]) == {"ok": False, "errors": [row]}
