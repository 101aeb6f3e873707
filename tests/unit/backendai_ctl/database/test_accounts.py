"""A new password is written down when the account has it, and not before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.database import accounts
from backendai_ctl.errors import Problem


class Database:
    def value(self, _sql: str, email: str) -> str | None:
        return "7f0c" if email.startswith("admin@") else None


@contextmanager
def connect(_target: object) -> Iterator[Database]:
    yield Database()


@pytest.fixture
def site(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(accounts, "connect", connect)
    ctx.secrets.create("admin-password")
    return ctx


def test_a_failure_leaves_the_password_that_is_the_accounts(
    site: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.secrets.get("admin-password")

    def fail(*_: object) -> None:
        assert site.secrets.get("admin-password") == before
        raise Problem("the database is down")

    monkeypatch.setattr(accounts, "populate", fail)
    with pytest.raises(Problem, match="down"):
        accounts.reset_password(site, site.site.admin.email)
    assert site.secrets.get("admin-password") == before


def test_what_is_written_down_is_what_the_account_has(
    site: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Mapping[str, Any]] = []
    monkeypatch.setattr(accounts, "populate", lambda _target, rows: given.append(rows))
    password = accounts.reset_password(site, site.site.admin.email)
    assert given[0]["users"][0]["password"] == password == site.secrets.get("admin-password")
