"""The page about nodes shows who connects where, as the components' facts have it."""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.facts import Facts
from backendai_ctl.topology import ports

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs/NODES.md").read_text("utf-8")


def test_the_page_shows_exactly_this_table(facts: Facts) -> None:
    shown = ports.table(facts)
    assert shown in PAGE, shown


def test_the_page_names_every_role_and_its_package(facts: Facts) -> None:
    assert set(facts.roles) == {"all-in-one", "compute", "edge", "management", "storage"}
    for role in facts.roles.values():
        assert f"| `{role.name}` | `{role.package}` |" in PAGE
