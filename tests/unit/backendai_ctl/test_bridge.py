"""Promise: the agent's address on the containers' bridge is the one that Docker gave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl import bridge, listeners
from backendai_ctl.context import Context
from backendai_ctl.site.schema import Site


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "daemon.json"
    monkeypatch.setattr(bridge, "DAEMON", path)
    monkeypatch.setattr(bridge, "interfaces", list)
    return path


def have(monkeypatch: pytest.MonkeyPatch, **interfaces: str) -> None:
    monkeypatch.setattr(bridge, "interfaces", lambda: list(interfaces.items()))


def test_it_is_the_one_that_the_bridge_has(daemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, eth0="192.0.2.7", docker0="10.5.0.1")
    assert bridge.address(Site()) == "10.5.0.1"
    daemon.write_text('{"bridge": "br0"}')
    have(monkeypatch, docker0="10.5.0.1", br0="10.6.0.1")
    assert bridge.address(Site()) == "10.6.0.1"


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
    daemon: Path, text: str, address: str
) -> None:
    assert bridge.address(Site()) == bridge.USUAL
    daemon.write_text(text)
    assert bridge.address(Site()) == address


def test_the_site_file_wins(daemon: Path, monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    have(monkeypatch, docker0="10.5.0.1")
    assert listeners.address(ctx, "bridge") == "10.5.0.1"
    site = Site.model_validate({"agent": {"bridge": "172.30.0.1"}})
    assert bridge.address(site) == "172.30.0.1"
