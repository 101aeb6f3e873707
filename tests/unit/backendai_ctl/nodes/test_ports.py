"""The page about nodes shows who connects where, as the components' facts have it."""

from __future__ import annotations

import sys
from pathlib import Path

from backendai_ctl.facts import Facts
from backendai_ctl.nodes import ports

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "tests/unit/backendai_ctl"))

from test_listeners import declared  # noqa: E402

PAGE = (ROOT / "docs/NODES.md").read_text("utf-8")


def test_the_page_shows_exactly_this_table(facts: Facts) -> None:
    shown = ports.table(Facts(**{**vars(facts), "components": declared()}))
    assert shown in PAGE, shown


def test_the_page_names_every_role_and_its_package(facts: Facts) -> None:
    assert set(facts.roles) == {"all-in-one", "compute", "edge", "management", "storage"}
    for role in facts.roles.values():
        assert f"| `{role.name}` | `{role.package}` |" in PAGE
