"""The engine: order, blocked steps, timeouts, and a second run that leaves no trace."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.engine.journal import Journal
from backendai_ctl.errors import OutOfTime, Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform.run import run


@dataclass
class Fake:
    """A step in memory: `done` is its effect."""

    name: str
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    error: Problem | None = None
    takes: float = 0
    timeout: int = 5
    title: str = "Do it"
    done: bool = False
    log: list[str] = field(default_factory=list)

    def concerns(self, _facts: Facts) -> tuple[str, ...]:
        return self.components

    def check(self, ctx: Context) -> list[Change]:
        return [] if self.done else [Change(self.name, "do")]

    def apply(self, ctx: Context) -> None:
        self.log.append(self.name)
        time.sleep(self.takes)
        if self.error:
            raise self.error
        self.done = True

    def undo(self, ctx: Context) -> None:
        self.done = False


def states(outcomes: dict[str, runner.Outcome]) -> dict[str, str]:
    return {name: outcome.state for name, outcome in outcomes.items()}


def test_steps_run_after_what_they_need(ctx: Context) -> None:
    log: list[str] = []
    steps = [Fake("c", ("b",), log=log), Fake("b", ("a",), log=log), Fake("a", log=log)]
    runner.execute(steps, ctx, Journal(ctx.paths.ctl))
    assert log == ["a", "b", "c"]


def test_whatever_a_step_meets_the_others_go_on(ctx: Context) -> None:
    """Also what nobody thought of; its text may hold a secret and is not told."""
    broken = Fake("a", error=KeyError("hunter2"))  # type: ignore[arg-type]
    done = runner.execute([broken, Fake("b")], ctx, Journal(ctx.paths.ctl))
    assert states(done) == {"a": "failed", "b": "done"}
    assert "KeyError in test_runner.py" in done["a"].message
    assert "hunter2" not in Journal(ctx.paths.ctl).path.read_text()


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="need each other: a, b"):
        runner.ordered([Fake("a", ("b",)), Fake("b", ("a",))])


def test_a_failure_blocks_only_those_that_need_it(ctx: Context) -> None:
    steps = [
        Fake("broken", error=Problem("no", hint="mend it")),
        Fake("waits", error=Pending("server is down")),
        Fake("after", ("broken",)),
        Fake("later", ("after",)),
        Fake("free"),
    ]
    outcomes = runner.execute(steps, ctx, Journal(ctx.paths.ctl))
    assert states(outcomes) == {
        "broken": "failed",
        "waits": "pending",
        "after": "blocked",
        "later": "blocked",
        "free": "done",
    }
    assert outcomes["after"].hint == "mend it"
    assert runner.worst(outcomes) == "failed"


def test_a_step_that_takes_too_long_fails_and_the_rest_goes_on(ctx: Context) -> None:
    steps = [Fake("slow", takes=30, timeout=1), Fake("free")]
    began = time.monotonic()
    outcomes = runner.execute(steps, ctx, Journal(ctx.paths.ctl))
    assert time.monotonic() - began < 10
    assert states(outcomes) == {"slow": "failed", "free": "done"}
    assert "not done after 1 s" in outcomes["slow"].message


class Waiting(Fake):
    """Its work waits for a program, and takes any failure of that for an answer of it."""

    def apply(self, ctx: Context) -> None:
        with suppress(Problem):
            run(["sleep", "60"], timeout=60)
        self.done = True


class Deaf(Fake):
    """It waits in a way that knows no timeout, and goes on whatever it meets."""

    def apply(self, ctx: Context) -> None:
        with suppress(Exception):
            time.sleep(60)
        self.done = True


def test_what_waits_in_a_step_ends_with_the_time_of_the_step(ctx: Context) -> None:
    began = time.monotonic()
    steps = [Waiting("waits", timeout=1)]
    assert states(runner.execute(steps, ctx, Journal(ctx.paths.ctl))) == {"waits": "done"}
    assert time.monotonic() - began < 1 + runner.GRACE


def test_no_step_can_swallow_the_alarm(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE", 0)
    outcomes = runner.execute([Deaf("deaf", timeout=1)], ctx, Journal(ctx.paths.ctl))
    assert (outcomes["deaf"].state, outcomes["deaf"].message) == (
        "failed",
        "deaf was not done after 1 s",
    )


def test_a_dry_run_and_an_undo_have_the_time_of_the_step(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE", 0)
    slow = Fake("slow", timeout=1)
    monkeypatch.setattr(slow, "check", lambda _ctx: time.sleep(60))
    monkeypatch.setattr(slow, "undo", lambda _ctx: time.sleep(60))
    found = runner.plan([slow], ctx)["slow"]
    assert isinstance(found, OutOfTime)
    with pytest.raises(OutOfTime, match="slow was not done after 1 s"):
        runner.undo(slow, ctx)


def test_second_run_leaves_no_trace(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    steps = [Fake("a"), Fake("b", ("a",))]
    journal.finish(runner.execute(steps, ctx, journal))
    before = {path: path.stat().st_mtime_ns for path in ctx.paths.ctl.rglob("*")}
    outcomes = runner.execute(steps, ctx, journal)
    journal.finish(outcomes)
    assert states(outcomes) == {"a": "same", "b": "same"}
    assert {path: path.stat().st_mtime_ns for path in ctx.paths.ctl.rglob("*")} == before


def test_the_same_failure_is_journaled_once(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    for _ in range(3):
        step = Fake("broken", error=Problem("no"))
        journal.finish(runner.execute([step], ctx, journal))
    assert [event["event"] for event in journal.events()].count("failed") == 1


def test_steps_of_absent_components_are_left_out(ctx: Context) -> None:
    ctx.facts.paths.units.joinpath("backendai-agent.service").unlink()
    steps = [Fake("a", components=("agent",)), Fake("b", components=("manager", "agent"))]
    assert list(runner.execute(steps, ctx, Journal(ctx.paths.ctl))) == ["b"]


def test_a_line_cut_off_by_a_crash_is_skipped(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    journal.add("begin", step="a")
    with journal.path.open("a") as out:
        out.write('{"event": "do')
    assert [event["event"] for event in journal.events()] == ["begin"]


def test_records_are_not_for_everybody(ctx: Context) -> None:
    """What failed is told in the words of programs that may have had secrets or rows before them."""
    journal = Journal(ctx.paths.ctl)
    journal.finish(runner.execute([Fake("broken", error=Problem("no"))], ctx, journal))
    modes = {path.name: path.stat().st_mode & 0o777 for path in ctx.paths.ctl.iterdir()}
    assert modes == {"journal.jsonl": 0o640, "result.json": 0o640}
