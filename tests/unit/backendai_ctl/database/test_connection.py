"""Of several members of a database cluster the primary is taken, and what they said is told."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from declared import MANAGER

from backendai_ctl.checks import services
from backendai_ctl.context import Context
from backendai_ctl.database import connection as module
from backendai_ctl.database.databases import Target
from backendai_ctl.errors import Pending
from backendai_ctl.site.schema import Site


class Link:
    """A connection, as far as these tests use it."""

    def terminate(self) -> None:
        """Nothing to end."""


@pytest.fixture
def target(ctx: Context) -> Target:
    site = Site.model_validate(
        {"database": {"mode": "external", "endpoints": ["a.test:5432", "[::1]:5433", "c.test:1"]}}
    )
    ctx.secrets.create("database-manager")
    return Target(Context(ctx.facts, site), MANAGER)


def answering(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> list[tuple[str, int]]:
    """Let each host give its answer; those that were asked."""
    asked = []

    async def connect(*, host: str, port: int, target_session_attrs: str, **_: Any) -> Any:
        assert target_session_attrs == "primary"
        asked.append((host, port))
        if isinstance(answers[host], BaseException):
            raise answers[host]
        return answers[host]

    monkeypatch.setattr(asyncpg, "connect", connect)
    return asked


STANDBY = asyncpg.TargetServerAttributeNotMatched("None of the hosts match")


def test_standbys_and_members_that_are_away_are_passed_over(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(
        monkeypatch, {"a.test": STANDBY, "::1": ConnectionRefusedError(), "c.test": Link()}
    )
    assert module.primary(target) == ("c.test", 1)
    assert asked == [("a.test", 5432), ("::1", 5433), ("c.test", 1)]


def test_without_a_primary_every_member_is_told(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = asyncpg.CannotConnectNowError("the database system is starting up")
    answering(monkeypatch, {"a.test": STANDBY, "::1": starting, "c.test": OSError("no route")})
    with pytest.raises(Pending) as caught:
        module.primary(target)
    assert "a.test:5432: it is a standby" in caught.value.message
    assert "::1:5433: the database system is starting up" in caught.value.message
    assert "c.test:1: no route" in caught.value.message


def test_a_wrong_password_is_told_at_once(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = asyncpg.InvalidPasswordError("password authentication failed")
    asked = answering(monkeypatch, {"a.test": wrong})
    with pytest.raises(module.NotMade):
        module.primary(target)
    assert asked == [("a.test", 5432)]


def test_a_single_server_that_is_a_standby_is_a_failure_to_connect(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """doctor, which tells failures to connect, and the steps alike."""
    ctx.secrets.create("database-manager")
    answering(monkeypatch, {"127.0.0.1": STANDBY})
    found = services.database(MANAGER)(ctx)
    assert (found.level, "it is a standby" in found.message) == ("fail", True), found
    with pytest.raises(Pending, match="it is a standby"), module.connect(Target(ctx, MANAGER)):
        pass
