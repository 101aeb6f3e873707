"""Fixtures of the host scenarios.

``hosts`` boots hosts. ``installed`` is a running host with every package of ours, one per
suite, shared by all tests of the session; pytest runs all tests of one suite before it goes
to the next, so at most one such host is up. Tests must leave it as it was. A scenario that
changes its host boots its own: ``with hosts.boot("trixie") as host: ...``.

    pytest tests/hosts [--dist DIR] [-k trixie]

Without root, systemd-nspawn or packages everything is skipped with the reason; with
BACKENDAI_REQUIRE_DIST=1 (continuous integration) that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SMALL_DISK_MB = 1500
HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent, HERE.parents[1] / "src"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

import artefacts  # noqa: E402
import bundle_dist  # noqa: E402
import locked  # noqa: E402
import stack as stacks  # noqa: E402
from both import once  # noqa: E402
from host import Host  # noqa: E402
from scenario import CPYTHON_TESTS, REPOSITORY, Hosts, Installed, install, unmet  # noqa: E402
from suites import PARAMETERS, REPO  # noqa: E402

from dist import add_option, folder, unavailable  # noqa: E402

_of_folder = contextlib.ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--dist``."""
    add_option(parser)


@pytest.fixture(scope="package")
def of_folder() -> contextlib.ExitStack:
    """What is entered here ends with the last test of its folder.

    Where a folder is no Python package pytest ends what it shares with the whole run: hosts with all
    services up would take their part of this machine until then.
    """
    return _of_folder


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End what the folder shares, after all that uses it."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _of_folder.close()


@pytest.fixture(scope="session")
def hosts() -> Hosts:
    """The way to boot hosts; skips when this machine cannot."""
    reason = unmet()
    if reason:
        unavailable(reason)
    return Hosts()


@pytest.fixture(scope="session")
def dist(request: pytest.FixtureRequest) -> artefacts.Dist:
    """The packages under test: --dist, else $BACKENDAI_DIST, else dist/ of the repository."""
    try:
        return artefacts.find(folder(request.config))
    except artefacts.NoArtefacts as missing:
        unavailable(str(missing))


@pytest.fixture(scope="session")
def repositories(dist: artefacts.Dist, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the packages, as repositories."""
    # Large: pytest would keep it for three runs.
    with once(tmp_path_factory, "repositories", lambda place: artefacts.index(dist, place)) as made:
        yield made


@pytest.fixture(scope="session")
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[bundle_dist.Bundle]:
    """The bundle beside the packages under test, unpacked once for all scenarios."""
    try:
        tar = bundle_dist.find(folder(request.config))
    except artefacts.NoArtefacts as missing:
        unavailable(str(missing))
    with once(tmp_path_factory, "bundle", lambda place: bundle_dist.unpack(tar, place)) as place:
        yield bundle_dist.Bundle(tar, place / tar.stem)


@pytest.fixture(scope="session")
def cpython_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds CPython's package ``test`` in the runtime's version."""
    try:
        return locked.unpack_testsuite(REPOSITORY, tmp_path_factory.mktemp("cpython-tests"))
    except locked.NotInCache as missing:
        unavailable(str(missing))


@pytest.fixture(scope="session", params=PARAMETERS)
def installed(
    request: pytest.FixtureRequest,
    hosts: Hosts,
    dist: artefacts.Dist,
    repositories: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """A host of each suite on which all our packages were installed from a repository."""
    binds = {repositories: REPO}
    with contextlib.suppress(locked.NotInCache):  # the tests that need it say so themselves
        tests = locked.unpack_testsuite(REPOSITORY, tmp_path_factory.mktemp("cpython-tests"))
        binds[tests] = CPYTHON_TESTS
    with install(hosts, request.param, dist, binds) as found:
        yield found


@pytest.fixture(scope="session")
def stack(
    hosts: Hosts,
    dist: artefacts.Dist,
    repositories: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[stacks.Stack]:
    """Debian 13 with every package of ours and the servers they use, nothing configured."""
    with once(
        tmp_path_factory,
        "stack",
        lambda place: stacks.make(hosts, dist, repositories, place),
        stacks.unmake,
    ) as place:
        yield stacks.of(place)


@pytest.fixture(scope="session")
def configured_stack(
    stack: stacks.Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stacks.Stack]:
    """The stack with all steps of backendai-ctl done: they take a minute, a copy a second."""
    with once(
        tmp_path_factory,
        "configured",
        lambda place: stacks.make_configured(stack, place),
        stacks.unmake,
    ) as place:
        yield stacks.configured_of(stack, place)


@pytest.fixture(scope="module")
def configured(configured_stack: stacks.Stack) -> Iterator[Host]:
    """A host of the module's own: all steps of backendai-ctl done, none started but the servers."""
    with configured_stack.boot() as host:
        host.sh(f"rm {stacks.UNTOUCHED}")
        yield host


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory with room for little more than what is installed: it can be filled."""
    size = f"size={SMALL_DISK_MB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(tmp_path)], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=False)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept: $BACKENDAI_SCREENSHOTS, else dist/screenshots."""
    return Path(os.environ.get("BACKENDAI_SCREENSHOTS") or REPOSITORY / "dist/screenshots")
