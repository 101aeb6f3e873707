"""A server that the site brings along runs as the site file wants it, and a second run does nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_systemd import FakeSystemd, install
from site_nodes import as_node, site_of

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import systemd
from backendai_ctl.services import serving, state
from backendai_ctl.site.schema import Cache, Site
from backendai_ctl.steps import prepare_cache, prepare_database

CACHE, DATABASE = prepare_cache.PrepareCache(), prepare_database.PrepareDatabase()
UNIT = "backendai-valkey.service"
NODES = site_of(mgmt="10.77.0.1 management storage", gpu1="10.77.0.11 compute")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    return install(monkeypatch, tmp_path / "system")


def of_site(ready: Context, **tables: object) -> Context:
    return Context(ready.facts, Site.model_validate(tables))


def test_its_files_are_written_it_starts_and_a_second_run_does_nothing(
    ready: Context, host: FakeSystemd
) -> None:
    assert [change.how for change in CACHE.check(ready)] == ["write it"] * 3
    CACHE.apply(ready)
    for name in ("valkey.conf", "valkey.acl", "valkey.password"):
        assert (ready.paths.config / name).stat().st_mode & 0o777 == 0o600
    assert host.calls == [
        f"--no-reload enable {UNIT}",
        "daemon-reload",
        f"restart --no-block {UNIT}",
    ]
    assert CACHE.check(ready) == []
    flag = ready.paths.ready("valkey").read_text().strip()
    assert flag == state.fingerprint(ready, ready.facts.servers["valkey"])


@pytest.mark.parametrize("changed", ["settings", "password", "release"])
def test_another_configuration_or_release_restarts_it(
    ready: Context, host: FakeSystemd, changed: str
) -> None:
    CACHE.apply(ready)
    host.calls.clear()
    now = ready
    if changed == "settings":
        now = of_site(ready, cache={"settings": {"maxmemory": "1gb"}})
    elif changed == "password":
        ready.secrets.path("cache-password").write_text("another\n")
    else:
        now = Context(replace(ready.facts, full_version="26.9.6-2"), ready.site)
    assert CACHE.check(now)
    CACHE.apply(now)
    assert host.calls[-1] == f"restart --no-block {UNIT}"
    assert CACHE.check(now) == []


def test_one_that_stopped_is_started_again_as_it_was(ready: Context, host: FakeSystemd) -> None:
    CACHE.apply(ready)
    host.active[UNIT] = "failed"
    assert [change.how for change in CACHE.check(ready)] == ["start it: it is failed"]
    CACHE.apply(ready)
    assert host.calls[-1] == f"start --no-block {UNIT}"


def test_a_kill_before_the_restart_is_mended_by_the_next_run(
    ready: Context, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    CACHE.apply(ready)
    now = of_site(ready, cache={"settings": {"maxmemory": "1gb"}})

    class Killed(BaseException):
        pass

    def killed(*words: str, **_: object) -> str:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(systemd, "systemctl", killed)
        with pytest.raises(Killed):
            CACHE.apply(now)
    assert [change.how.split(":")[0] for change in CACHE.check(now)] == ["restart it"]


def test_a_flag_that_a_package_emptied_lets_the_unit_start(
    ready: Context, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ConditionFileNotEmpty= of the unit; the package empties it so that no new program starts early."""
    CACHE.apply(ready)
    flag = ready.paths.ready("valkey")
    flag.write_text("")
    found: list[str] = []

    def systemctl(*words: str, **_: object) -> str:
        found.append(flag.read_text())
        return host.systemctl(*words)

    monkeypatch.setattr(systemd, "systemctl", systemctl)
    CACHE.apply(ready)
    assert found[-1] and CACHE.check(ready) == []


def test_one_that_its_operator_disabled_is_left_alone(ready: Context, host: FakeSystemd) -> None:
    CACHE.apply(ready)
    host.enabled[UNIT], host.active[UNIT] = "disabled", "inactive"
    before = ready.paths.ready("valkey").read_text()
    assert CACHE.check(ready) == []
    host.calls.clear()
    now = of_site(ready, cache={"settings": {"maxmemory": "1gb"}})
    CACHE.apply(now)
    assert host.calls == []
    assert "maxmemory 1gb" in (ready.paths.config / "valkey.conf").read_text()
    assert ready.paths.ready("valkey").read_text() == before, "it starts anew, once it may"


def test_it_stops_where_the_site_file_has_it_elsewhere_and_keeps_its_data(
    ready: Context, host: FakeSystemd
) -> None:
    CACHE.apply(ready)
    data = ready.paths.state / "valkey/appendonlydir"
    data.mkdir(parents=True)
    theirs = Context(ready.facts, Site(cache=Cache(mode="external")))
    assert [change.how.split(":")[0] for change in CACHE.check(theirs)] == ["stop it"]
    CACHE.apply(theirs)
    assert host.calls[-2:] == [f"stop {UNIT}", "daemon-reload"]
    assert (host.active[UNIT], host.enabled[UNIT]) == ("inactive", "disabled")
    assert not list(ready.paths.config.glob("valkey.*")) and data.is_dir()
    assert CACHE.check(theirs) == []
    host.calls.clear()
    CACHE.apply(theirs)
    assert host.calls == []


def test_it_runs_on_the_node_that_serves_alone(ready: Context, host: FakeSystemd) -> None:
    CACHE.apply(ready)
    assert [
        change.how.split(":")[0] for change in CACHE.check(as_node(ready.facts, "gpu1", NODES))
    ] == ["stop it"]
    CACHE.apply(as_node(ready.facts, "gpu1", NODES))
    assert host.active[UNIT] == "inactive"
    CACHE.apply(as_node(ready.facts, "mgmt", NODES))
    assert host.active[UNIT] == "active"
    drop_in = (state.dropins.FOLDER / f"{UNIT}.d/site.conf").read_text()
    assert "IPAddressAllow=10.77.0.11\n" in drop_in and "IPAddressAllow=10.77.0.1\n" in drop_in
    CACHE.apply(ready)  # a single host again
    assert not (state.dropins.FOLDER / f"{UNIT}.d").exists()


def test_without_systemd_it_starts_at_the_next_boot(
    ready: Context, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(systemd, "properties", lambda *_: {})
    with pytest.raises(Pending, match="starts at the next boot"):
        CACHE.apply(ready)
    assert host.calls == [f"--no-reload enable {UNIT}"]
    assert ready.paths.ready("valkey").read_text().strip()
    assert CACHE.check(ready) == []


@pytest.mark.parametrize("missing", ["unit", "facts"])
def test_a_package_that_is_not_installed_is_named(
    ready: Context, host: FakeSystemd, missing: str
) -> None:
    known: Facts = ready.facts
    if missing == "unit":
        (ready.paths.units / UNIT).unlink()
    else:
        known = replace(known, servers={})
    bare = Context(known, ready.site)
    for act in (CACHE.check, CACHE.apply):
        with pytest.raises(Problem, match="backendai-valkey is not installed") as told:
            act(bare)
        assert "apt install backendai-valkey" in told.value.hint
        assert "[cache]" in told.value.hint
    CACHE.undo(bare)
    assert host.calls == []


def test_what_does_not_become_well_is_told_in_its_own_words(
    ready: Context, host: FakeSystemd
) -> None:
    host.sick = "postgresql://127.0.0.1:8100/: the database system is starting up"
    with pytest.raises(
        Problem, match=r"is not healthy after .* the database system is starting up"
    ) as told:
        DATABASE.apply(ready)
    assert "backendai-ctl logs postgresql" in told.value.hint
    assert [change.how for change in DATABASE.check(ready)] == ["wait until it is healthy"]


def test_one_that_ends_again_and_again_is_not_awaited(
    ready: Context, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TIMEOUT", 600)
    host.sick, host.restarts = "connection refused", serving.TRIES
    with pytest.raises(Problem, match=f"ended {serving.TRIES} times: connection refused"):
        CACHE.apply(ready)


def test_active_as_it_was_before_the_restart_is_not_well(ready: Context, host: FakeSystemd) -> None:
    CACHE.apply(ready)
    host.job = "1234"
    with pytest.raises(Problem, match="is not healthy"):
        CACHE.apply(of_site(ready, cache={"settings": {"maxmemory": "1gb"}}))


def test_a_plan_needs_no_secrets(ctx: Context, host: FakeSystemd) -> None:
    """`reconfigure --dry-run` of a bare host."""
    assert [change.what for change in CACHE.check(ctx)] == [UNIT]


def test_undo_stops_it_and_takes_its_files_away(ready: Context, host: FakeSystemd) -> None:
    moved = of_site(ready, cache={"port": 8111})
    CACHE.apply(moved)
    data = ready.paths.state / "valkey"
    data.mkdir()
    CACHE.undo(moved)
    assert (host.active[UNIT], host.enabled[UNIT]) == ("inactive", "disabled")
    assert not list(ready.paths.config.glob("valkey.*"))
    assert not ready.paths.ready("valkey").exists() and data.is_dir()
    assert list(state.dropins.FOLDER.iterdir()) == []
    CACHE.undo(moved)


def test_what_a_kill_left_without_a_flag_goes_as_well(ready: Context, host: FakeSystemd) -> None:
    (ready.paths.config / "valkey.conf").write_text("half of it\n")
    CACHE.undo(ready)
    assert not (ready.paths.config / "valkey.conf").exists()


def test_new_authorities_restart_no_server(ready: Context, host: FakeSystemd) -> None:
    """Services read them; PostgreSQL's sessions would end for nothing."""
    DATABASE.apply(ready)
    ready.paths.tls.mkdir()
    (ready.paths.tls / "trust.crt").write_text("another\n")
    assert DATABASE.check(ready) == []
