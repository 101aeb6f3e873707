"""Purge: what it undoes, in which order, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from backendai_ctl import purge as module
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem


@dataclass
class Fake:
    name: str
    log: list[str]
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    error: Problem | None = field(default=None)

    def undo(self, ctx: Context) -> None:
        self.log.append(self.name)
        if self.error:
            raise self.error


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    steps = [
        Fake("first", done),
        Fake("second", done, ("first",), error=Problem("no")),
        Fake("third", done),
    ]
    monkeypatch.setattr(module, "all_steps", lambda: steps)
    return done


def test_steps_are_undone_last_first_and_one_failure_keeps_no_other(
    ctx: Context, log: list[str]
) -> None:
    with pytest.raises(Problem, match="second: no"):
        module.purge(ctx, data=False, dry_run=False)
    assert log == ["third", "second", "first"]


def test_dry_run_touches_nothing_and_names_the_data(ctx: Context, log: list[str]) -> None:
    ctx.paths.secrets.mkdir()
    said = module.purge(ctx, data=True, dry_run=True)
    assert log == []
    assert str(ctx.paths.secrets) in said
    assert "database backendai, role backendai" in said


def test_secrets_and_volumes_stay_without_data(ctx: Context, log: list[str]) -> None:
    volume = ctx.paths.volumes / "volume1"
    for folder in (ctx.paths.secrets, volume, ctx.paths.ctl):
        folder.mkdir(parents=True)
    with pytest.raises(Problem):
        module.purge(ctx, data=False, dry_run=False)
    assert ctx.paths.secrets.is_dir() and volume.is_dir() and not ctx.paths.ctl.exists()
