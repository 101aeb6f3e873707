"""Promises of backendai_ctl.storage.session_files: whole or not there; kept while a container has it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import http
from backendai_ctl.steps.keep_session_files import KeepSessionFiles
from backendai_ctl.storage import session_files


@pytest.fixture
def backend(ctx: Context) -> Path:
    """What the agent's package has."""
    made = ctx.paths.environment / "lib/python3.13/site-packages/ai/backend"
    for part in session_files.PARTS:
        (made / part / "inner").mkdir(parents=True)
        (made / part / "inner/file").write_text(part)
    (made / "runner/link").symlink_to("inner/file")
    return made


def containers(monkeypatch: pytest.MonkeyPatch, *sources: Path, status: int = 200) -> None:
    rows = [{"Mounts": [{"Source": str(path)}]} for path in sources] + [{"Mounts": None}]

    def ask(url: str, **_given: Any) -> tuple[int, str]:
        assert url.endswith("/containers/json?all=1")
        return status, json.dumps(rows)

    monkeypatch.setattr(http, "ask", ask)


def later(ctx: Context, revision: str) -> Context:
    """The same host with another release of ours."""
    return replace(ctx, facts=replace(ctx.facts, full_version=f"26.9.7-{revision}"))


def test_they_are_there_without_the_package(ctx: Context, backend: Path) -> None:
    step = KeepSessionFiles()
    assert [change.what for change in step.check(ctx)] == [str(session_files.here(ctx))]
    step.apply(ctx)
    assert step.check(ctx) == []
    kept = session_files.folder(ctx) / "current"
    assert os.readlink(kept) == ctx.facts.full_version
    same = (backend / "kernel/inner/file").stat().st_ino
    assert (kept / "kernel/inner/file").stat().st_ino == same, "on one disk it takes no room"
    for part in session_files.PARTS:
        (backend / part / "inner/file").unlink()
        assert (kept / part / "inner/file").read_text() == part
    assert os.readlink(kept / "runner/link") == "inner/file"
    step.undo(ctx)
    assert not session_files.folder(ctx).exists()


def test_what_was_cut_off_is_made_anew(ctx: Context, backend: Path) -> None:
    unfinished = session_files.folder(ctx) / ".making/kernel"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_text("")
    (session_files.folder(ctx) / ".current").symlink_to("nowhere")
    session_files.keep(ctx)
    assert session_files.is_kept(ctx)
    assert not (session_files.here(ctx) / "kernel/half").exists()
    assert sorted(os.listdir(session_files.folder(ctx))) == [ctx.facts.full_version, "current"]


def test_a_package_that_is_not_whole_is_told(ctx: Context, backend: Path) -> None:
    (backend / "runner").rename(backend / "gone")
    with pytest.raises(Problem, match="it has no ai/backend/runner"):
        session_files.keep(ctx)
    assert not session_files.is_kept(ctx)


def test_the_last_release_stays_while_a_container_has_it(
    ctx: Context, backend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_files.keep(ctx)
    new = later(ctx, "1")
    assert not session_files.is_kept(new)
    containers(monkeypatch)
    assert session_files.sweep(new) == 0, "the new one is not kept yet"
    session_files.keep(new)
    containers(monkeypatch)
    assert session_files.sweep(new) == 0, "the agent of the release before may run"
    started = ctx.paths.ready("agent")
    started.parent.mkdir(parents=True, exist_ok=True)
    started.touch()  # as the package leaves it
    assert session_files.sweep(new) == 0
    started.write_text("fingerprint\n")
    containers(monkeypatch, session_files.here(ctx) / "kernel/inner")
    assert session_files.sweep(new) == 0
    containers(monkeypatch, status=500)
    assert session_files.sweep(new) == 0, "nobody said who has what"
    containers(monkeypatch, session_files.here(new) / "kernel", Path("/vfroot"))
    assert session_files.unused(new) == [session_files.here(ctx)]
    assert session_files.sweep(new) == 1
    assert session_files.is_kept(new) and not session_files.here(ctx).exists()
