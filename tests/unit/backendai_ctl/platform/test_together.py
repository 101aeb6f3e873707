"""Promises of backendai_ctl.platform.together."""

from __future__ import annotations

import threading
import time

import pytest

from backendai_ctl.platform.together import together


def test_one_that_hangs_does_not_keep_the_others() -> None:
    stuck = threading.Event()
    began = time.monotonic()
    found = together(
        {"quick": lambda: "yes", "stuck": lambda: str(stuck.wait(60))}, timeout=0.2, late="late"
    )
    stuck.set()
    assert found == {"quick": "yes", "stuck": "late"}
    assert time.monotonic() - began < 30


def test_jobs_run_at_once() -> None:
    both = threading.Barrier(2, timeout=30)
    found = together({"a": both.wait, "b": both.wait}, timeout=30, late=-1)
    assert sorted(found.values()) == [0, 1]


def test_a_failure_is_not_swallowed() -> None:
    def fails() -> int:
        raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        together({"a": fails, "b": lambda: 1}, timeout=30, late=0)
