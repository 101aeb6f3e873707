"""What waits ends with the time of what it is part of."""

from __future__ import annotations

import time

import pytest

from backendai_ctl.errors import OutOfTime
from backendai_ctl.platform import deadline
from backendai_ctl.platform.run import run
from backendai_ctl.platform.together import together


def test_without_a_deadline_a_timeout_is_a_timeout() -> None:
    assert deadline.left(7) == 7


def test_the_shortest_time_counts_whatever_is_inside() -> None:
    with deadline.within(5), deadline.within(60):
        assert 4 < deadline.left(100) <= 5
        assert deadline.left(1) == 1
    assert deadline.left(100) == 100


def test_what_must_be_done_has_time_of_its_own() -> None:
    with deadline.within(0):
        assert deadline.left(100) < 1
        with deadline.anew(30):
            assert 29 < deadline.left(100) <= 30


def test_a_program_ends_with_it() -> None:
    began = time.monotonic()
    with deadline.within(0.5), pytest.raises(OutOfTime, match="sleep was not done"):
        run(["sleep", "60"])
    assert time.monotonic() - began < 5


def test_so_does_what_runs_beside() -> None:
    with deadline.within(5):
        found = together({"a": lambda: deadline.left(100)}, timeout=3, late=0.0)
    assert 4 < found["a"] <= 5
