"""The service of a database stays down while its schema changes, and comes back only if it ran."""

from __future__ import annotations

import pytest
from declared import MANAGER

from backendai_ctl.context import Context
from backendai_ctl.database.service import Service
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files, systemd


class Systemd:
    """A unit that runs or not, and what was asked of systemd."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
        self.state, self.calls = state, list[tuple[str, ...]]()
        monkeypatch.setattr(systemd, "booted", lambda: True)
        monkeypatch.setattr(systemd, "properties", lambda *_: {"ActiveState": self.state})
        monkeypatch.setattr(systemd, "systemctl", self.call)

    def call(self, *words: str, **_: object) -> str:
        self.calls.append(words)
        self.state = {"stop": "inactive", "start": "active"}.get(words[0], self.state)
        return ""


@pytest.fixture
def service(ctx: Context) -> Service:
    files.write(ctx.paths.ready("manager"), "fingerprint\n", mode=0o644)
    return Service(ctx, MANAGER)


def test_a_running_service_is_stopped_cannot_start_and_comes_back(
    service: Service, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Systemd(monkeypatch, "active")
    service.stop()
    assert unit.calls == [("stop", "backendai-manager.service")]
    assert files.read(ctx.paths.ready("manager")) == ""
    closed = (ctx.paths.ready("manager"), service.path)
    assert [path.stat().st_mode & 0o777 for path in closed] == [0o600, 0o640]
    service.start()
    assert unit.state == "active"
    assert files.read(ctx.paths.ready("manager")) == "fingerprint\n"


def test_a_service_that_did_not_run_stays_down(
    service: Service, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Systemd(monkeypatch, "inactive")
    service.stop()
    service.start()
    assert unit.calls == []
    assert ctx.paths.ready("manager").exists()


def test_what_a_killed_run_stopped_is_started_by_the_next(
    service: Service, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Systemd(monkeypatch, "active")
    service.stop()
    again = Service(ctx, MANAGER)  # another process, which finds the unit down and no flag
    again.stop()
    again.start()
    assert unit.state == "active"
    assert ctx.paths.ready("manager").exists()
    assert not again.record().ran


@pytest.mark.parametrize("held", ["", None])
def test_a_flag_is_neither_made_nor_removed(
    service: Service, ctx: Context, monkeypatch: pytest.MonkeyPatch, held: str | None
) -> None:
    """A package empties it before a migration; without one the service would count as new."""
    Systemd(monkeypatch, "active")
    flag = ctx.paths.ready("manager")
    flag.unlink()
    if held is not None:
        files.write(flag, held, mode=0o644)
    service.stop()
    assert files.read(flag) == held
    service.start()
    assert files.read(flag) == held


def test_a_flag_that_went_with_its_package_stays_away(
    service: Service, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    Systemd(monkeypatch, "active")
    service.stop()
    ctx.paths.ready("manager").unlink()
    service.start()
    assert not ctx.paths.ready("manager").exists()
    assert not service.record().mark


def test_without_systemd_nothing_is_asked_of_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Systemd(monkeypatch, "active")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    service.stop()
    service.start()
    assert unit.calls == []


def test_notes_add_to_the_record(service: Service) -> None:
    service.note(state="dumping", dump="/x")
    service.note(state="migrating")
    record = service.record()
    assert (record.state, record.dump) == ("migrating", "/x")


def test_a_damaged_record_is_named(service: Service) -> None:
    files.write(service.path, '{"odd": 1}')
    with pytest.raises(Problem, match="migration-manager"):
        service.record()
