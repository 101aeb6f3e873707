"""What is to be done about a service, from its flag, its unit and what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_systemd import FakeSystemd, install

from backendai_ctl.context import Context
from backendai_ctl.facts import Component
from backendai_ctl.platform import files
from backendai_ctl.services import state
from backendai_ctl.services.state import find, fingerprint


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    return install(monkeypatch, tmp_path / "system")


@pytest.fixture(params=["manager", "etcd"])
def known(ctx: Context, request: pytest.FixtureRequest) -> Component:
    """A component, and a server: both are services."""
    return {**ctx.facts.components, **ctx.facts.servers}[request.param]


def started(ctx: Context, host: FakeSystemd, known: Component) -> None:
    files.write(ctx.paths.ready(known.name), fingerprint(ctx, known) + "\n")
    host.active[known.unit], host.enabled[known.unit] = "active", "enabled"


def test_one_that_was_never_started_starts_whatever_systemd_says(
    ctx: Context, host: FakeSystemd, known: Component
) -> None:
    host.enabled[known.unit] = "disabled"  # as packages leave it
    found = find(ctx, known).change()
    assert found and (found.what, found.how) == (known.unit, "start it, now and at every boot")


def test_one_that_runs_as_it_should_needs_nothing(
    ctx: Context, host: FakeSystemd, known: Component
) -> None:
    started(ctx, host, known)
    assert find(ctx, known).change() is None


@pytest.mark.parametrize(
    ("state", "how"),
    [
        ("activating", "wait until it is healthy"),
        ("failed", "start it: it is failed"),
        ("inactive", "start it: it is inactive"),
        ("reloading", ""),
    ],
)
def test_its_state_decides(
    ctx: Context, host: FakeSystemd, known: Component, state: str, how: str
) -> None:
    started(ctx, host, known)
    host.active[known.unit] = state
    found = find(ctx, known).change()
    assert (found.how if found else "") == how


@pytest.mark.parametrize("word", state.LEFT_ALONE)
def test_what_its_operator_turned_off_stays_off(
    ctx: Context, host: FakeSystemd, known: Component, word: str
) -> None:
    started(ctx, host, known)
    host.enabled[known.unit], host.active[known.unit] = word, "inactive"
    files.write(ctx.paths.config / known.config, "another\n")
    assert find(ctx, known).left_alone and find(ctx, known).change() is None


def test_whatever_it_was_given_restarts_it(
    ctx: Context, host: FakeSystemd, known: Component
) -> None:
    started(ctx, host, known)
    drop_in = state.dropins.path(known)
    for path in (*known.credentials, known.config, drop_in):
        files.write(ctx.paths.config / path, "another\n")
        found = find(ctx, known).change()
        assert found and found.how.startswith("restart it"), path
        started(ctx, host, known)


def test_an_emptied_flag_is_no_new_service(
    ctx: Context, host: FakeSystemd, known: Component
) -> None:
    """A package emptied it: what was turned off before stays off."""
    started(ctx, host, known)
    files.write(ctx.paths.ready(known.name), "")
    assert not find(ctx, known).new
    host.enabled[known.unit] = "disabled"
    assert find(ctx, known).change() is None
