"""Configuration files: written, followed up, and the operator's edits kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from declared import GENERATED

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.rendering.merged import base_path
from backendai_ctl.site.schema import Network, Site
from backendai_ctl.steps import render_configs
from backendai_ctl.steps.render_configs import RenderConfigs

STEP = RenderConfigs()


def file(ctx: Context, name: str = "manager.toml") -> Path:
    return ctx.paths.config / name


def moved(ctx: Context, **ports: int) -> Context:
    """The same host with the manager on another port: every file that names it changes."""
    return replace(ctx, site=Site(network=Network(ports={"manager": ports})))


@pytest.fixture
def done(ready: Context) -> Context:
    STEP.apply(ready)
    return ready


def state(ctx: Context) -> dict[Path, tuple[bytes, int]]:
    found = [*ctx.paths.config.glob("*.*"), *(ctx.paths.ctl / "shipped").glob("*")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found if path.is_file()}


def test_files_and_their_bases_are_for_root_alone(done: Context) -> None:
    found = state(done)
    assert len(found) == 2 * len(done.facts.installed())
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}


def test_a_second_run_changes_nothing(done: Context) -> None:
    before = state(done)
    assert STEP.check(done) == []
    STEP.apply(done)
    assert state(done) == before


def test_only_for_what_is_installed(ready: Context) -> None:
    (ready.paths.units / "backendai-agent.service").unlink()
    STEP.apply(ready)
    assert not file(ready, "agent.toml").exists()


def test_what_nobody_edited_follows(done: Context) -> None:
    new = moved(done, api=9000)
    told = {(change.what, change.how) for change in STEP.check(new)}
    assert (str(file(done)), "manager.service-addr.port: 8081 -> 9000") in told
    STEP.apply(new)
    assert "port = 9000" in file(done).read_text()
    assert STEP.check(new) == []


def test_edits_win_and_are_shown(done: Context) -> None:
    path = file(done)
    text = path.read_text().replace("num-proc = 1 ", "num-proc = 4 ")
    text = text.replace("pool-pre-ping = true", "# pool-pre-ping = true")
    path.write_text(text + "\n[debug]\nenabled = true  # for a day\n")
    path.chmod(0o600)
    assert STEP.check(done) == []
    new = moved(done, api=9000)
    told = [change.how for change in STEP.check(new) if change.what == str(path)]
    assert "manager.service-addr.port: 8081 -> 9000" in told
    assert "your edit is kept: manager.num-proc: 1 -> 4" in told
    assert "your edit is kept: db.pool-pre-ping: true -> (absent)" in told
    assert "your edit is kept: debug.enabled: (absent) -> true" in told
    STEP.apply(new)
    merged = path.read_text()
    assert "num-proc = 4 " in merged
    assert "enabled = true  # for a day" in merged
    assert "# pool-pre-ping = true" in merged
    assert "port = 9000" in merged
    assert STEP.check(new) == []


def test_a_file_that_was_there_before_is_kept_and_completed(ready: Context) -> None:
    path = file(ready)
    path.write_text("[manager]\nnum-proc = 3  # mine\n")
    STEP.apply(ready)
    assert "num-proc = 3  # mine" in path.read_text()
    assert ready.secrets.get("database-manager") in path.read_text()
    assert STEP.check(ready) == []


def test_a_file_that_was_deleted_comes_back(done: Context) -> None:
    before = file(done).read_text()
    file(done).unlink()
    assert [change.how for change in STEP.check(done)] == ["write it"]
    STEP.apply(done)
    assert file(done).read_text() == before


@pytest.mark.parametrize("written", ["nothing", "the file"])
def test_a_run_that_was_killed_is_finished(done: Context, written: str) -> None:
    component = done.facts.components["manager"]
    old = {path: path.read_bytes() for path in (file(done), base_path(done, component))}
    new = moved(done, api=9000)
    STEP.apply(new)
    after = {path: data for path, (data, _) in state(new).items()}
    for path, data in old.items():
        if written == "nothing" or path != file(done):
            path.write_bytes(data)
    STEP.apply(new)
    assert {path: data for path, (data, _) in state(new).items()} == after
    assert STEP.check(new) == []


def test_the_base_is_written_last(done: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a kill never makes our own old text look like an edit."""
    written: list[Path] = []
    monkeypatch.setattr(render_configs.files, "write", lambda path, *_, **__: written.append(path))
    STEP.apply(moved(done, api=9000))
    assert written[0::2] == [done.paths.config / path.name for path in written[1::2]]
    assert all(path.parent.name == "shipped" for path in written[1::2])


def test_a_broken_edit_is_told_and_nothing_is_written(done: Context) -> None:
    path = file(done)
    path.write_text("[manager]\nnum-proc = \n")
    before = state(done)
    for act in (STEP.check, STEP.apply):
        with pytest.raises(Problem, match=rf"{path}:2: not TOML"):
            act(moved(done, api=9000))
    assert state(done) == before


def test_no_secret_is_told(done: Context) -> None:
    secret = done.secrets.get("database-manager")
    path = file(done)
    path.write_text(path.read_text().replace(secret, "hunter2"))
    done.secrets.path("etcd-manager").write_text("changed\n")
    told = str(STEP.check(done))
    assert "db.password: (hidden) -> (hidden)" in told
    assert "etcd.password: (hidden) -> (hidden)" in told
    known = [done.secrets.get(name) for name in GENERATED]
    assert not any(text in told for text in [*known, "hunter2", secret])


def test_before_there_are_secrets_it_says_what_it_would_write(ctx: Context) -> None:
    assert {change.how for change in STEP.check(ctx)} == {"write it"}
    assert len(STEP.check(ctx)) == len(ctx.facts.installed())


def test_undo_keeps_what_was_edited(done: Context) -> None:
    path = file(done)
    path.write_text(path.read_text() + "# mine\n")
    STEP.undo(done)
    STEP.undo(done)
    assert set(state(done)) == {path}
