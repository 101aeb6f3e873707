"""Services stop with their flags empty, and start with them as they were."""

from __future__ import annotations

import pytest

from backendai_ctl.context import Context
from backendai_ctl.moving import record, services
from backendai_ctl.platform import systemd

NAMES = ("manager", "webserver", "agent")


@pytest.fixture
def calls(earlier: Context, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three services, the agent stopped by its operator; a package upgrade emptied two flags."""
    made: list[str] = []
    for name, flag in {"manager": "", "webserver": "fingerprint", "agent": ""}.items():
        earlier.paths.ready(name).parent.mkdir(parents=True, exist_ok=True)
        earlier.paths.ready(name).write_text(flag)

    def properties(unit: str, _names: object) -> dict[str, str]:
        return {"ActiveState": "inactive" if "agent" in unit else "active"}

    def systemctl(*words: str, timeout: float = 90) -> str:
        made.append(" ".join(words))
        return ""

    monkeypatch.setattr(systemd, "properties", properties)
    monkeypatch.setattr(systemd, "systemctl", systemctl)
    monkeypatch.setattr(systemd, "forget_failures", lambda _units: None)
    return made


def flags(ctx: Context) -> list[str]:
    return [ctx.paths.ready(name).read_text() for name in NAMES]


def test_what_ran_is_known_before_it_stops(earlier: Context, calls: list[str]) -> None:
    services.stop(earlier, NAMES)
    assert calls == ["stop backendai-manager.service backendai-webserver.service"]
    assert flags(earlier) == ["", "", ""]
    assert record.read(earlier).stopped == {"manager": "", "webserver": "fingerprint"}
    services.stop(earlier, NAMES)  # again, after a kill: what was held then counts
    assert record.read(earlier).stopped["webserver"] == "fingerprint"


def test_what_ran_starts_again_and_the_rest_stays(
    earlier: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_fits", lambda _ctx, _name: True)
    services.stop(earlier, NAMES)
    services.start(earlier, earlier)
    assert calls[-1] == "start --no-block backendai-manager.service backendai-webserver.service"
    manager, webserver, agent = flags(earlier)
    assert manager and webserver == "fingerprint" and not agent
    assert record.read(earlier).stopped == {}


def test_a_service_does_not_start_on_a_schema_that_it_does_not_know(
    earlier: Context, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_fits", lambda _ctx, name: name != "manager")
    services.stop(earlier, NAMES)
    services.start(earlier, earlier)
    assert calls[-1] == "start --no-block backendai-webserver.service"
    assert flags(earlier)[0] == ""
