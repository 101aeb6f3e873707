"""The page about nodes shows who connects where, as the components' facts have it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from backendai_ctl.facts import Facts
from backendai_ctl.topology import ports

ROOT = Path(__file__).resolve().parents[4]
OPERATING = (ROOT / "docs/OPERATING.md").read_text("utf-8")
PAGE = (ROOT / "docs/NODES.md").read_text("utf-8")


def test_the_page_shows_exactly_this_table(facts: Facts) -> None:
    shown = ports.table(facts)
    assert shown in PAGE, shown


def test_the_page_names_every_role_and_its_package(facts: Facts) -> None:
    assert set(facts.roles) == {"all-in-one", "compute", "edge", "management", "storage"}
    for role in facts.roles.values():
        assert f"| `{role.name}` | `{role.package}` |" in PAGE


def test_the_operator_guide_lists_what_to_open_for_users(facts: Facts) -> None:
    """Its few lines, which take neighbouring ports together, are those of the table: no more, no less."""
    section = OPERATING.partition("## Open the firewall\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^    (\d+)(?:-(\d+))? ", section, re.MULTILINE)
    rows = [row for row in ports.table(facts).splitlines() if re.search(r"\busers\b", row)]
    found = [re.match(r"\| (\d+)(?:-(\d+))? ", row) for row in rows]
    assert covered(listed) == covered([one.groups() for one in found if one])


def covered(ranges: Iterable[tuple[str, str | None]]) -> set[int]:
    return {port for first, last in ranges for port in range(int(first), int(last or first) + 1)}
