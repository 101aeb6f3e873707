"""Promise: the assembled runtime passes the chosen part of CPython's own test suite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cpython_selection import EVERYWHERE, EXCLUDED, ONCE
from scenario import CPYTHON_TESTS, INSIDE, PYTHON, Installed
from suites import DEBIAN

FULL_SUITE = "trixie"
TIMEOUT = 1200  # seconds for all
FILE_TIMEOUT = 300  # seconds for one file
MAY_SKIP = 3  # files that have nothing to do on a host (test_curses: no terminal)
WORK = "/tmp/cpython"
PLACE = "/opt/backendai/runtime/lib/python3.13/test"


@pytest.mark.parametrize(
    "installed",
    ["el9", *(pytest.param(suite, marks=pytest.mark.breadth) for suite in DEBIAN)],
    indirect=True,
)
def test_chosen_tests_pass(
    installed: Installed, cpython_tests: Path, pytestconfig: pytest.Config
) -> None:
    """As an unprivileged user, the tests in their place in the library; where least is as on Debian.

    Only the tests' own processes see them there: the runtime ships without its tests. Three at
    a time, as they wait more than they work; what fails then gets a second chance alone.
    """
    once = pytestconfig.getoption("--all") and installed.suite == FULL_SUITE
    chosen = (*EVERYWHERE, *(ONCE if once else ()))
    ignored = [word for pattern in EXCLUDED for word in ("--ignore", pattern)]
    installed.host.sh(
        f"mkdir -p {WORK}/home; cp -r {CPYTHON_TESTS} {WORK}/tests; chown -R nobody {WORK};"
        # bare hosts lack the table of network services, by which some tests look names up
        f" test -e /etc/services || cp {INSIDE}/services /etc/services"
    )
    try:
        result = installed.host.run(
            [
                PYTHON,
                "-m",
                "test",
                "-j3",
                "-W",
                "--rerun",
                f"--timeout={FILE_TIMEOUT}",
                *ignored,
                *chosen,
            ],
            user="nobody",
            cwd=f"{WORK}/home",
            env={"HOME": f"{WORK}/home", "TMPDIR": f"{WORK}/home"},
            properties=[f"BindPaths={WORK}/tests/test:{PLACE}"],
            timeout=TIMEOUT,
        )
    finally:
        # the mount point too, if systemd had to make it
        installed.host.sh(
            f"rm -rf {WORK}; rmdir --ignore-fail-on-non-empty {PLACE};"
            f" ! cmp -s {INSIDE}/services /etc/services || rm /etc/services"
        )
    assert result.returncode == 0, f"{_failures(result.stdout)}\n{result}"
    ok = re.search(r"(\d+) tests? OK", result.stdout)
    assert ok, result
    assert int(ok.group(1)) >= len(chosen) - MAY_SKIP, (
        f"too many files skipped themselves\n{result}"
    )


def _failures(output: str) -> str:
    heads = [line for line in output.splitlines() if line.startswith(("FAIL: ", "ERROR: "))]
    return "\n".join(dict.fromkeys(heads))
