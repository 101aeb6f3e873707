"""Promises of backendai_ctl.cli.logs."""

from __future__ import annotations

import pytest

from backendai_ctl.cli import logs
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_REQUEST, BadRequest


def test_without_a_name_it_is_all_of_this_host(ctx: Context) -> None:
    (ctx.paths.units / "backendai-agent.service").unlink()
    units = logs.units_of(ctx, [])
    assert "backendai-manager.service" in units
    assert "backendai-agent.service" not in units


@pytest.mark.parametrize("name", ["manager", "backendai-manager", "backendai-manager.service"])
def test_a_component_may_be_named_in_any_way(ctx: Context, name: str) -> None:
    assert logs.units_of(ctx, [name]) == ["backendai-manager.service"]


def test_an_unknown_name_gets_the_nearest_one(ctx: Context) -> None:
    with pytest.raises(BadRequest, match="did you mean manager") as caught:
        logs.units_of(ctx, ["mnager"])
    assert caught.value.exit_code == EXIT_REQUEST


def test_options_become_those_of_journalctl() -> None:
    argv = logs.arguments(["a.service"], follow=True, lines=0, since="-1h", as_json=True)
    assert argv == [
        logs.JOURNALCTL,
        "--unit=a.service",
        "--follow",
        "--lines=0",
        "--since=-1h",
        "--output=json",
        "--no-pager",
    ]
