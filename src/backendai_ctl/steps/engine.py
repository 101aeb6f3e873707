"""Runs steps in order: checks, applies what differs, journals, and goes on where it can."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from backendai_ctl.context import Context
from backendai_ctl.errors import OutOfTime, Pending, Problem
from backendai_ctl.steps.base import Change, Step
from backendai_ctl.steps.journal import Journal, Outcome
from backendai_ctl.system import files


def ordered(steps: Sequence[Step]) -> list[Step]:
    """Steps after all that they need, otherwise as given. ValueError on a circle."""
    waiting, done, made = list(steps), set[str](), list[Step]()
    known = {step.name for step in steps}
    while waiting:
        ready = next((s for s in waiting if done >= set(s.needs) & known), None)
        if ready is None:
            raise ValueError(f"steps need each other: {', '.join(s.name for s in waiting)}")
        waiting.remove(ready)
        made.append(ready)
        done.add(ready.name)
    return made


def concerned(step: Step, ctx: Context) -> bool:
    """Whether the step matters on this host."""
    return not step.components or any(ctx.here(name) for name in step.components)


def plan(steps: Sequence[Step], ctx: Context) -> dict[str, list[Change] | Problem]:
    """What every step would do, or why that cannot be said now. Changes nothing."""
    found: dict[str, list[Change] | Problem] = {}
    for step in ordered([s for s in steps if concerned(s, ctx)]):
        try:
            found[step.name] = step.check(ctx)
        except Problem as problem:
            found[step.name] = problem
        except OSError as error:
            found[step.name] = files.trouble(error)
    return found


def execute(
    steps: Sequence[Step],
    ctx: Context,
    journal: Journal,
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[Mapping[str, Outcome]], None] = lambda _outcomes: None,
) -> dict[str, Outcome]:
    """Run all steps that matter here; a step that fails blocks only those that need it.

    `before` is called before a step changes something, `after` after each with the outcomes so far.
    """
    outcomes: dict[str, Outcome] = {}
    for step in ordered([s for s in steps if concerned(s, ctx)]):
        missing = [n for n in step.needs if n in outcomes and not outcomes[n].well]
        if missing:
            first = outcomes[missing[0]]
            outcome = Outcome("blocked", f"waits for {missing[0]}", first.hint)
        else:
            outcome = _one(step, ctx, journal, before)
        outcomes[step.name] = outcome
        after(outcomes)
    return outcomes


def _one(step: Step, ctx: Context, journal: Journal, before: Callable[[], None]) -> Outcome:
    began = time.monotonic()
    try:
        with time_limit(step.limit, step.name):
            changes = step.check(ctx)
            if not changes:
                return Outcome("same")
            ctx.say(step.title)
            shown = [f"{change.what}: {change.how}" for change in changes]
            before()
            journal.add("begin", step=step.name, changes=shown)
            step.apply(ctx)
        seconds = round(time.monotonic() - began, 1)
        journal.add("done", step=step.name, seconds=seconds)
        return Outcome("done", seconds=seconds)
    except Exception as error:  # whatever it is: the other steps go on, and the journal says it
        problem = _told(error)
        state = "pending" if isinstance(problem, Pending) else "failed"
        outcome = Outcome(state, problem.what, problem.hint, round(time.monotonic() - began, 1))
        _note(journal, step.name, outcome)
        return outcome


def _told(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError):
        return files.trouble(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return Problem(
        f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}",  # its text may hold a secret
        hint="this is a fault of backendai-ctl: please report it",
    )


def _note(journal: Journal, step: str, outcome: Outcome) -> None:
    """Journal a failure once: the same one again on the next run is no news."""
    last = journal.last().get("steps", {}).get(step, {})
    if (last.get("state"), last.get("what")) == (outcome.state, outcome.what):
        return
    # The disk that is full made the step fail as well, and the operator is told that.
    with suppress(Problem):
        journal.add(outcome.state, step=step, what=outcome.what, hint=outcome.hint)


@contextmanager
def time_limit(seconds: int, what: str) -> Iterator[None]:
    """Raise OutOfTime in the block after `seconds`, even while it waits for something."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime(
            f"{what} was not done after {seconds} s", hint="run: backendai-ctl reconfigure"
        )

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def worst(outcomes: Mapping[str, Outcome]) -> str:
    """The state of a whole run: failed, pending or done."""
    states = {outcome.state for outcome in outcomes.values()}
    if "failed" in states:
        return "failed"
    return "pending" if states & {"pending", "blocked"} else "done"
