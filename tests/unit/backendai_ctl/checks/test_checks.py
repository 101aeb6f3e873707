"""Promises of backendai_ctl.checks.checks."""

from __future__ import annotations

import pytest

from backendai_ctl.checks import checks
from backendai_ctl.checks.checks import Check
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.result import Result, ok


def test_every_check_has_a_name_of_its_own_and_a_reason(ctx: Context) -> None:
    every = checks.checks(ctx)
    assert len({(check.group, check.name) for check in every}) == len(every)
    assert all(check.why for check in every)
    served = [check.name for check in every if check.served]
    assert len(served) == len(set(served))  # they are told apart by name alone
    assert set(ctx.facts.installed()) <= set(served)


def test_before_the_site_is_configured_no_service_is_asked(ctx: Context) -> None:
    found = checks.run(ctx, preflight=False)
    levels = {finding.level for finding in found if finding.group == "services"}
    assert levels == {"skip"}
    assert not [f for f in checks.run(ctx, preflight=True) if f.group == "services"]


def test_a_check_that_fails_itself_does_not_end_the_others(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def problem(_ctx: Context) -> Result:
        raise Problem("no password", hint="make one")

    def surprise(_ctx: Context) -> Result:
        raise PermissionError("not yours")

    table = (
        Check("a", "one", "why", problem),
        Check("a", "two", "why", surprise),
        Check("b", "three", "why", lambda _: ok("fine"), served=True),
    )
    monkeypatch.setattr(checks, "checks", lambda _ctx: table)
    ctx.paths.ctl.mkdir(parents=True)
    (ctx.paths.ctl / "result.json").write_text('{"finished": "now", "steps": {}}')
    found = checks.run(ctx, preflight=False)
    assert [(f.level, f.hint) for f in found] == [
        ("fail", "make one"),
        ("warn", "report this"),
        ("ok", ""),
    ]
