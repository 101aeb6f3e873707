"""Promise: the agent's address on the containers' bridge is the one that Docker gave it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backendai_ctl.context import Context
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import bridge, container_engine, listeners


def settle(ctx: Context, text: str) -> None:
    container_engine.of(ctx.facts).settings.write_text(text)


def have(monkeypatch: pytest.MonkeyPatch, **interfaces: str) -> None:
    monkeypatch.setattr(bridge, "interfaces", lambda: list(interfaces.items()))


def test_it_is_the_one_that_the_bridge_has(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    have(monkeypatch, eth0="192.0.2.7", docker0="10.5.0.1")
    assert bridge.address(ctx) == "10.5.0.1"
    settle(ctx, '{"bridge": "br0"}')
    have(monkeypatch, docker0="10.5.0.1", br0="10.6.0.1")
    assert bridge.address(ctx) == "10.6.0.1"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('{"bip": "10.5.0.1/24"}', "10.5.0.1"),
        ("{}", bridge.USUAL),
        ("[]", bridge.USUAL),
        ("not JSON", bridge.USUAL),
    ],
)
def test_before_docker_ran_it_is_the_one_that_docker_will_give_it(
    ctx: Context, text: str, address: str
) -> None:
    assert bridge.address(ctx) == bridge.USUAL
    settle(ctx, text)
    assert bridge.address(ctx) == address


def test_the_site_file_wins(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    have(monkeypatch, docker0="10.5.0.1")
    assert listeners.address(ctx, "bridge") == "10.5.0.1"
    site = Site.model_validate({"agent": {"bridge": "172.30.0.1"}})
    assert bridge.address(replace(ctx, site=site)) == "172.30.0.1"
