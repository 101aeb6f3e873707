"""What all suites of tests share: tables that tests show, which tests run, and in one process.

scripts/test gives the tests to two processes: hosts wait more than they work. Tests that share
something costly (a folder's host, a suite's host, a module's fixtures) stay in one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

try:
    import hypothesis
except ModuleNotFoundError:  # the Python of Pants, which runs tests/unit/packager alone
    pass
else:  # the same examples in every run, and no failure because a machine is busy
    hypothesis.settings.register_profile(
        "house", derandomize=True, deadline=None, max_examples=60, database=None
    )
    hypothesis.settings.load_profile("house")

SUITE = re.compile(r"\b(trixie|bookworm|el9)\b")
SHOWN = "shown"
TOLD = 2000  # characters of a failure that are printed at once; the summary has it whole
# One process has these from its beginning: each takes minutes, and nothing may be left to wait for.
LONGEST_FIRST = (
    "tests/hosts/test_every_step_survives_every_fault.py",
    "tests/hosts/site/",
    "tests/hosts/nodes/",
    "tests/hosts/bundle/",
    "tests/packages/test_lint.py",
    "tests/hosts/nfs/",
    "tests/hosts/test_migration_never_loses_a_row.py",
    "tests/hosts/test_external_servers_by_site_file.py",
    "tests/hosts/test_cpython_passes_its_own_tests.py",
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


class Teller:
    """Prints what failed as soon as it did: a run that is cut off would tell nobody."""

    def __init__(self, config: pytest.Config) -> None:
        self.plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reporter: Any = self.plugins.get_plugin("terminalreporter")
        if report.failed and reporter:
            reporter.write_line("")
            reporter.section(f"{report.nodeid}: {report.when} failed", sep="!")
            reporter.write_line(report.longreprtext[-TOLD:])


def pytest_configure(config: pytest.Config) -> None:
    """Processes of pytest-xdist have no terminal: the one that started them prints."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Teller(config))


def _calls(stats: dict[str, list[Any]]) -> Iterator[Any]:
    for outcome in ("passed", "failed"):
        for report in stats.get(outcome, []):
            if getattr(report, "when", "") == "call":
                yield report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--all``."""
    parser.addoption("--all", action="store_true", help="tests of breadth, too: see scripts/test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is breadth; in several processes, what takes longest begins first."""
    if not config.getoption("--all"):
        left = [item for item in items if item.get_closest_marker("breadth")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.nodeid))


def _turn(test: str) -> int:
    first = [n for n, start in enumerate(LONGEST_FIRST) if test.startswith(start)]
    return first[0] if first else len(LONGEST_FIRST)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together in one process what shares something costly."""
    from xdist.scheduler import LoadScopeScheduling  # absent where Pants' own tests run

    class Together(LoadScopeScheduling):  # type: ignore[misc,no-any-unimported]
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Together(config, log)


def group(test: str) -> str:
    """The suite whose host it is on, the folder that has fixtures of its own, or the module."""
    module, _, name = test.partition("::")
    if suite := SUITE.search(name):
        return suite[0]
    folder = module.rpartition("/")[0]
    return folder if folder.startswith("tests/hosts/") else module
