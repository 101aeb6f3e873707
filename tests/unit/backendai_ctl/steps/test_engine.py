"""The engine: order, blocked steps, limits, and a second run that leaves no trace."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.steps import engine
from backendai_ctl.steps.base import Change
from backendai_ctl.steps.journal import Journal


@dataclass
class Fake:
    """A step in memory: `done` is its effect."""

    name: str
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    error: Problem | None = None
    takes: float = 0
    limit: int = 5
    title: str = "Do it"
    done: bool = False
    log: list[str] = field(default_factory=list)

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


def states(outcomes: dict[str, engine.Outcome]) -> dict[str, str]:
    return {name: outcome.state for name, outcome in outcomes.items()}


def test_steps_run_after_what_they_need(ctx: Context) -> None:
    log: list[str] = []
    steps = [Fake("c", ("b",), log=log), Fake("b", ("a",), log=log), Fake("a", log=log)]
    engine.execute(steps, ctx, Journal(ctx.paths.ctl))
    assert log == ["a", "b", "c"]


def test_whatever_a_step_meets_the_others_go_on(ctx: Context) -> None:
    """Also what nobody thought of; its text may hold a secret and is not told."""
    broken = Fake("a", error=KeyError("hunter2"))  # type: ignore[arg-type]
    done = engine.execute([broken, Fake("b")], ctx, Journal(ctx.paths.ctl))
    assert states(done) == {"a": "failed", "b": "done"}
    assert "KeyError in test_engine.py" in done["a"].what
    assert "hunter2" not in Journal(ctx.paths.ctl).path.read_text()


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="need each other: a, b"):
        engine.ordered([Fake("a", ("b",)), Fake("b", ("a",))])


def test_a_failure_blocks_only_those_that_need_it(ctx: Context) -> None:
    steps = [
        Fake("broken", error=Problem("no", hint="mend it")),
        Fake("waits", error=Pending("server is down")),
        Fake("after", ("broken",)),
        Fake("later", ("after",)),
        Fake("free"),
    ]
    outcomes = engine.execute(steps, ctx, Journal(ctx.paths.ctl))
    assert states(outcomes) == {
        "broken": "failed",
        "waits": "pending",
        "after": "blocked",
        "later": "blocked",
        "free": "done",
    }
    assert outcomes["after"].hint == "mend it"
    assert engine.worst(outcomes) == "failed"


def test_a_step_that_takes_too_long_fails_and_the_rest_goes_on(ctx: Context) -> None:
    steps = [Fake("slow", takes=30, limit=1), Fake("free")]
    began = time.monotonic()
    outcomes = engine.execute(steps, ctx, Journal(ctx.paths.ctl))
    assert time.monotonic() - began < 10
    assert states(outcomes) == {"slow": "failed", "free": "done"}
    assert "not done after 1 s" in outcomes["slow"].what


def test_second_run_leaves_no_trace(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    steps = [Fake("a"), Fake("b", ("a",))]
    journal.finish(engine.execute(steps, ctx, journal))
    before = {path: path.stat().st_mtime_ns for path in ctx.paths.ctl.rglob("*")}
    outcomes = engine.execute(steps, ctx, journal)
    journal.finish(outcomes)
    assert states(outcomes) == {"a": "same", "b": "same"}
    assert {path: path.stat().st_mtime_ns for path in ctx.paths.ctl.rglob("*")} == before


def test_the_same_failure_is_journaled_once(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    for _ in range(3):
        step = Fake("broken", error=Problem("no"))
        journal.finish(engine.execute([step], ctx, journal))
    assert [event["event"] for event in journal.events()].count("failed") == 1


def test_steps_of_absent_components_are_left_out(ctx: Context) -> None:
    ctx.facts.paths.units.joinpath("backendai-agent.service").unlink()
    steps = [Fake("a", components=("agent",)), Fake("b", components=("manager", "agent"))]
    assert list(engine.execute(steps, ctx, Journal(ctx.paths.ctl))) == ["b"]


def test_a_line_cut_off_by_a_crash_is_skipped(ctx: Context) -> None:
    journal = Journal(ctx.paths.ctl)
    journal.add("begin", step="a")
    with journal.path.open("a") as out:
        out.write('{"event": "do')
    assert [event["event"] for event in journal.events()] == ["begin"]


def test_records_are_not_for_everybody(ctx: Context) -> None:
    """What failed is told in the words of programs that may have had secrets or rows before them."""
    journal = Journal(ctx.paths.ctl)
    journal.finish(engine.execute([Fake("broken", error=Problem("no"))], ctx, journal))
    modes = {path.name: path.stat().st_mode & 0o777 for path in ctx.paths.ctl.iterdir()}
    assert modes == {"journal.jsonl": 0o640, "result.json": 0o640}
