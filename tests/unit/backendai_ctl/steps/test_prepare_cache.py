"""prepare-cache: a password, a file of our own, nothing lost, and a second run that does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_valkey import FakeValkey, running

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.secrets import GENERATED
from backendai_ctl.site.schema import Cache, Site
from backendai_ctl.steps import prepare_cache, units
from backendai_ctl.steps.prepare_cache import STEP
from backendai_ctl.system import systemd


@pytest.fixture
def valkey() -> Iterator[FakeValkey]:
    with running(FakeValkey()) as fake:
        yield fake


@pytest.fixture
def host(
    facts: Facts, valkey: FakeValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Context:
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(prepare_cache, "DUMP", tmp_path / "dump.rdb")
    made = Context(facts, Site(cache=Cache(port=valkey.port)))
    for name in GENERATED:
        made.secrets.create(name)
    return made


def test_afterwards_the_password_is_required_now_and_after_a_restart(
    host: Context, valkey: FakeValkey, tmp_path: Path
) -> None:
    password = host.secrets.get("cache-password")
    assert len(STEP.check(host)) == 2
    STEP.apply(host)
    assert valkey.settings == {"requirepass": password, "appendonly": "yes"}
    ours = prepare_cache.config(host)
    assert f'requirepass "{password}"' in ours.read_text()
    assert ours.stat().st_mode & 0o777 == 0o600
    drop_in = (tmp_path / "system/valkey-server.service.d/backendai.conf").read_text()
    assert f"LoadCredential=valkey.conf:{ours}" in drop_in
    assert password not in drop_in
    assert STEP.check(host) == []


def test_content_is_in_the_append_only_file_before_the_files_are_written(
    host: Context, valkey: FakeValkey
) -> None:
    valkey.broken = True
    with pytest.raises(Problem, match="append-only"):
        STEP.apply(host)
    assert not prepare_cache.config(host).exists()


def test_a_server_that_was_restarted_without_our_file_is_noticed(
    host: Context, valkey: FakeValkey
) -> None:
    STEP.apply(host)
    valkey.settings.update(requirepass="", appendonly="no")
    assert [change.how.split()[0] for change in STEP.check(host)] == ["require", "keep"]
    STEP.apply(host)
    assert STEP.check(host) == []


def test_a_password_that_was_replaced_is_set_on_the_running_server(
    host: Context, valkey: FakeValkey
) -> None:
    host.secrets.path("cache-password").write_text('a "b" \\c\n')
    STEP.apply(host)
    host.secrets.path("cache-password").write_text("next\n")
    assert len(STEP.check(host)) == 1
    STEP.apply(host)
    assert valkey.settings["requirepass"] == "next"


def test_a_password_of_the_operators_is_not_overwritten(host: Context, valkey: FakeValkey) -> None:
    valkey.settings["requirepass"] = "theirs"
    with pytest.raises(Problem, match="wants a password that we do not know") as caught:
        STEP.apply(host)
    assert "password_file" in caught.value.hint
    assert valkey.settings["requirepass"] == "theirs"
    assert not prepare_cache.config(host).exists()


def test_without_a_server_the_files_are_written_and_the_next_start_does_the_rest(
    facts: Facts, host: Context, free_port: int
) -> None:
    down = Context(facts, Site(cache=Cache(port=free_port)))
    with pytest.raises(Pending, match="connection refused"):
        STEP.apply(down)
    assert prepare_cache.config(down).exists()
    with pytest.raises(Pending):
        STEP.check(down)


def test_a_stopped_server_with_content_keeps_its_settings_until_it_runs(
    facts: Facts,
    host: Context,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare_cache.DUMP.touch()
    down = Context(facts, Site(cache=Cache(port=free_port)))
    with pytest.raises(Pending):
        STEP.apply(down)
    assert not prepare_cache.config(down).exists()


def test_a_server_of_yours_is_not_touched(host: Context, valkey: FakeValkey) -> None:
    theirs = Context(host.facts, Site(cache=Cache(mode="external", port=valkey.port)))
    assert STEP.check(theirs) == []
    STEP.undo(theirs)
    assert valkey.log == []


def test_undo_leaves_it_as_debian_ships_it(
    host: Context, valkey: FakeValkey, tmp_path: Path
) -> None:
    STEP.apply(host)
    STEP.undo(host)
    assert valkey.settings == {"requirepass": "", "appendonly": "no"}
    assert list((tmp_path / "system").iterdir()) == []
    assert not prepare_cache.config(host).exists()


def test_where_nodes_need_it_it_listens_for_them_after_it_wants_a_password(
    host: Context, valkey: FakeValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = "127.0.0.1 -::1 10.77.0.1"
    monkeypatch.setattr(prepare_cache, "server_addresses", lambda *_: ["10.77.0.1"])
    STEP.apply(host)
    assert valkey.settings["bind"] == wanted
    sets = [words[2] for words in valkey.log if words[:2] == ("CONFIG", "SET")]
    assert sets.index("requirepass") < sets.index("bind")
    assert f"bind {wanted}\n" in prepare_cache.config(host).read_text()
    drop_in = (tmp_path / "system/valkey-server.service.d/backendai.conf").read_text()
    assert units.WAIT_FOR_NETWORK in drop_in
    assert STEP.check(host) == []
    valkey.settings["bind"] = "127.0.0.1 -::1"
    assert [change.how for change in STEP.check(host)] == [f"listen on {wanted}"]
    STEP.undo(host)
    assert valkey.settings["bind"] == "127.0.0.1 -::1"
