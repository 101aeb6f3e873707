"""What the site file says of sessions is compared with the default policy, column by column."""

from __future__ import annotations

from typing import Any, cast

import pytest

from backendai_ctl.database import policy
from backendai_ctl.database.connection import Connection
from backendai_ctl.site.schema import Site
from backendai_ctl.site.sessions import Sessions


class Row:
    """A database with the default policy alone."""

    def __init__(self, **columns: int) -> None:
        self.columns = columns

    def rows(self, query: str) -> list[dict[str, int]]:
        return [self.columns] if "WHERE is_default" in query and self.columns else []

    def do(self, statement: str, *values: int) -> None:
        assert statement.endswith("WHERE is_default")
        sets = statement.partition("SET ")[2].partition(" WHERE")[0].split(", ")
        names = [part.partition(" = ")[0] for part in sets]
        assert sets == [f"{name} = ${number}" for number, name in enumerate(names, 1)]
        self.columns |= dict(zip(names, values, strict=True))


def site(**said: Any) -> Site:
    return Site(sessions=Sessions(**said))


def test_what_is_not_said_is_left_to_administrators() -> None:
    assert policy.wanted(site()) == {}
    assert policy.differing(cast(Connection, object()), site()) == {}  # asks nothing


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604800)]
)
def test_times_are_seconds_in_the_database(text: str, seconds: int) -> None:
    assert policy.wanted(site(idle_timeout=text)) == {"idle_timeout": seconds}
    assert policy.wanted(site(lifetime=text)) == {"max_session_lifetime": seconds}


@pytest.mark.parametrize("text", ["", "1", "1.5h", "-1h", "1w", "00h", "1 h", "999999s", "24856d"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="idle_timeout"):
        site(idle_timeout=text)


def test_what_differs_is_put_and_nothing_else() -> None:
    row = Row(max_concurrent_sessions=5, max_containers_per_session=1, idle_timeout=3600, other=7)
    db, said = cast(Connection, row), site(concurrent=9, containers=1, idle_timeout="0")
    found = policy.differing(db, said)
    assert found == {"max_concurrent_sessions": (5, 9), "idle_timeout": (3600, 0)}
    policy.put(db, found)
    assert row.columns == {
        "max_concurrent_sessions": 9,
        "max_containers_per_session": 1,
        "idle_timeout": 0,
        "other": 7,
    }
    assert policy.differing(db, said) == {}


def test_a_site_whose_default_policy_is_gone_is_left_alone() -> None:
    assert policy.differing(cast(Connection, Row()), site(concurrent=9)) == {}
