"""What a dump or a restore would be refused for, a dry run is refused for as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from declared import MANAGER

from backendai_ctl.context import Context
from backendai_ctl.database import backup as module
from backendai_ctl.database import dumps, programs
from backendai_ctl.database.databases import Target
from backendai_ctl.database.inspect import Found
from backendai_ctl.errors import BadRequest, Problem

FOUND = Found("head", tables=3, size=1000, fingerprint="x", server=170000)


class Revisions(dict[str, None]):
    head = "head"


@pytest.fixture
def done(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order, to a database that is in order, with a good dump at hand."""
    did: list[str] = []

    def entered(how: str) -> object:
        @contextmanager
        def enter(target: Target) -> Iterator[Target]:
            did.append(how)
            yield target

        return enter

    def noted(what: str) -> object:
        return lambda *_: did.append(what)

    (tmp_path / "x.dump").touch()
    monkeypatch.setattr(Target, "scripts", tmp_path)
    monkeypatch.setattr(module, "connect", entered("look"))
    monkeypatch.setattr(module, "locked", entered("lock"))
    monkeypatch.setattr(module, "read_revisions", lambda _: Revisions(old=None, head=None))
    monkeypatch.setattr(module, "read_marker", lambda _: None)
    monkeypatch.setattr(module, "look", lambda *_, **_given: FOUND)
    monkeypatch.setattr(module, "alone", noted("alone"))
    monkeypatch.setattr(module, "restore", noted("restore"))
    monkeypatch.setattr(module.Service, "stop", noted("stop"))
    monkeypatch.setattr(module.Service, "start", noted("start"))
    monkeypatch.setattr(programs, "contents", lambda *_: " TABLE public agents ")
    monkeypatch.setattr(programs, "revision", lambda *_: "head")
    monkeypatch.setattr(programs, "verify", lambda *_: "")
    monkeypatch.setattr(programs, "programs", entered("programs"))
    monkeypatch.setattr(dumps, "make", noted("dump"))
    return did


def test_a_restore_begins_dumps_and_starts_again(
    ctx: Context, tmp_path: Path, done: list[str]
) -> None:
    made = module.restore_file(ctx, tmp_path / "x.dump", begin=lambda: done.append("begin"))
    steps = ["lock", "begin", "stop", "alone", "programs", "dump", "restore", "start"]
    assert done == steps
    assert (made.database, made.at_head) == ("manager", True)


def test_an_older_dump_leaves_the_service_down(
    ctx: Context, tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "revision", lambda *_: "old")
    assert not module.restore_file(ctx, tmp_path / "x.dump").at_head
    assert "start" not in done


def test_a_dry_run_only_looks(ctx: Context, tmp_path: Path, done: list[str]) -> None:
    would = module.restore_file(ctx, tmp_path / "x.dump", dry_run=True, begin=pytest.fail)
    assert would.before and would.before.parent == ctx.paths.backups
    assert module.backup(ctx, MANAGER, dry_run=True).parent == ctx.paths.backups
    assert done == ["look", "look"]
    assert not ctx.paths.backups.exists()


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("where", "name", "answer", "words"),
    [
        (programs, "revision", "newer", "does not know"),
        (programs, "verify", "cut off", "is damaged: cut off"),
        (module, "look", Found("head", 3, 1 << 60, "x", 170000), "MB are free"),
    ],
)
def test_what_cannot_be_restored_is_refused_before_anything_is_stopped(
    ctx: Context,
    tmp_path: Path,
    done: list[str],
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    answer: object,
    words: str,
    dry_run: bool,
) -> None:
    monkeypatch.setattr(where, name, lambda *_, **_given: answer)
    with pytest.raises(Problem, match=words):
        module.restore_file(ctx, tmp_path / "x.dump", dry_run=dry_run, begin=pytest.fail)
    assert done in ([], ["look"], ["lock"])


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_cannot_be_dumped_is_refused(
    ctx: Context,
    tmp_path: Path,
    done: list[str],
    monkeypatch: pytest.MonkeyPatch,
    dry_run: bool,
) -> None:
    with pytest.raises(BadRequest, match="exists"):
        module.backup(ctx, MANAGER, tmp_path / "x.dump", dry_run=dry_run)
    monkeypatch.setattr(module, "look", lambda *_, **_given: Found("head", 3, 1 << 60, "x", 170000))
    with pytest.raises(Problem, match="MB are free"):
        module.backup(ctx, MANAGER, dry_run=dry_run)
    monkeypatch.setattr(module, "read_marker", lambda _: "a marker")
    with pytest.raises(Problem, match="cut off"):
        module.backup(ctx, MANAGER, dry_run=dry_run)
    assert "dump" not in done
