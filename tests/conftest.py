"""What all rooms of tests share: tables that tests show, and which tests run in one process.

scripts/test gives the tests to two processes: hosts wait more than they work. Tests that share
something costly (a folder's host, a suite's host, a module's fixtures) stay in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
SHOWN = "shown"
# One process has these from its beginning: each takes minutes, and nothing may be left to wait for.
LONGEST_FIRST = (
    "hosts/test_every_step_survives_every_fault.py",
    "hosts/site",
    "hosts/nodes",
    "hosts/test_cpython_passes_its_own_tests.py",
)


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a text with the summary of the run, whichever process the test runs in."""
    return lambda text: record_property(SHOWN, text)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests showed, below the name of the test."""
    for report in _calls(terminalreporter.stats):
        for name, text in report.user_properties:
            if name == SHOWN:
                terminalreporter.section(report.nodeid, sep="-")
                terminalreporter.write_line(str(text))


def _calls(stats: dict[str, list[Any]]) -> Iterator[Any]:
    for outcome in ("passed", "failed"):
        for report in stats.get(outcome, []):
            if getattr(report, "when", "") == "call":
                yield report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say what stays in one process (pytest-xdist's groups), and what begins first."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    if config.getoption("numprocesses", default=None) or hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.path.relative_to(HERE).as_posix()))


def _group(item: pytest.Item) -> str:
    """Its folder if that has fixtures of its own, its suite if it is on a suite's host, its module."""
    suite = getattr(item, "callspec", None) and item.callspec.params.get("installed")
    if suite:
        return f"installed {suite}"
    place = item.path.relative_to(HERE)
    own = place.parts[0] == "hosts" and len(place.parts) > 2
    return place.parent.as_posix() if own else place.as_posix()


def _turn(place: str) -> int:
    first = [n for n, start in enumerate(LONGEST_FIRST) if place.startswith(start)]
    return first[0] if first else len(LONGEST_FIRST)
