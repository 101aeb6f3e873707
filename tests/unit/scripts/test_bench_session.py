"""What bench-session takes out of an acceptance, and the table that it prints."""

from __future__ import annotations

import pytest

from devtools import bench_session


def test_a_start_is_what_the_acceptance_saw() -> None:
    outcomes = [{"name": "sign-in", "seconds": 1.0}, {"name": "session", "seconds": 12.5}]
    assert bench_session.started({"outcomes": outcomes}) == 12.5
    with pytest.raises(ValueError, match="unpack"):
        bench_session.started({"outcomes": outcomes[:1]})


def test_a_ratio_needs_both_figures() -> None:
    assert bench_session.row("a session", 12.5, 2.5) == ["a session", "12.5", "2.5", "5.0"]
    assert bench_session.row("a push", 3.0, None) == ["a push", "3.0", "no skopeo", ""]
    assert bench_session.median([9.0, 1.0, 2.0]) == 2.0
