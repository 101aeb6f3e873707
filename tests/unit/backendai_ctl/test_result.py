"""Promises of backendai_ctl.result."""

from __future__ import annotations

from backendai_ctl.result import fail, ok, skip, warn, worst


def test_the_worst_of_several_is_told() -> None:
    several = [ok("a"), warn("b", "mend b"), skip("c"), fail("d", "mend d"), fail("e", "mend d")]
    assert worst(several, fine="all") == fail("d; e", "mend d")
    assert worst(several[:3], fine="all") == warn("b", "mend b")
    assert worst([ok("a")], fine="all") == ok("all")


def test_a_warning_is_ok() -> None:
    assert [one.ok for one in (ok("a"), warn("b"), skip("c"), fail("d"))] == [
        True,
        True,
        True,
        False,
    ]
