"""Promise: of upstream's own suite nothing fails on a site, but what is listed with its reason.

It takes ten minutes, so it runs with --all alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from own_servers import sql
from scenario import ctl
from site_host import SiteHost

pytestmark = pytest.mark.breadth
SUITE = "backendai-test"
SPECS = 82
TIMEOUT = 1500  # seconds
LEFT = """
SELECT string_agg(email, ' ') FROM (
  SELECT email FROM users WHERE email LIKE '%@accept.invalid' OR email LIKE '%@tester_email.com'
  UNION ALL SELECT name FROM groups WHERE name LIKE 'test-group-%'
  UNION ALL SELECT name FROM vfolders WHERE name LIKE 'test-%' AND status <> 'DELETE_COMPLETE'
  UNION ALL SELECT name || status FROM sessions WHERE status NOT IN ('TERMINATED', 'CANCELLED')
) AS found
"""


@pytest.fixture(scope="module")
def without(allinone: SiteHost) -> Any:
    """What is said where the package is not installed."""
    return ctl(allinone.host, "accept", "--full", status=1)


@pytest.fixture(scope="module")
def accepted(allinone: SiteHost, without: Any) -> Iterator[Any]:
    """With both cores of the host for sessions, which is enough for two at a time."""
    allinone.host.check(["apt-get", "install", "-y", SUITE], timeout=300)
    with allinone.described("[agent]\nreserved_cpu = 0\n"):
        done = allinone.host.run(["backendai-ctl", "accept", "--full", "--json"], timeout=TIMEOUT)
        yield json.loads(done.stdout)
    allinone.host.check(["apt-get", "purge", "-y", SUITE], timeout=300)


def test_where_it_is_missing_nothing_is_tried(without: Any) -> None:
    (error,) = without["errors"]
    assert "not installed" in error["message"] and SUITE in error["hint"]
    assert "outcomes" not in without


def test_nothing_fails_and_what_is_not_run_says_why(accepted: Any) -> None:
    assert [row for row in accepted["outcomes"] if row["level"] == "fail"] == []
    assert accepted["ok"], accepted
    rows = {row["name"]: row for row in accepted["outcomes"] if row["group"] == "upstream"}
    assert len(rows) == SPECS + len(("models", "removed"))
    for row in rows.values():
        assert "listed as failing" not in row["message"], row
    skipped = [row["message"] for row in rows.values() if row["level"] == "skip"]
    assert all(said.startswith(("needs ", "fails on every site: ")) for said in skipped)


def test_nothing_is_left(allinone: SiteHost, accepted: Any) -> None:
    assert sql(allinone.host, LEFT, "backendai") == ""
    units = allinone.host.check(["systemctl", "list-units", "--all", "backendai-accept*"]).stdout
    assert "backendai-accept.service" not in units
