"""Runs steps in order: checks, applies what differs, journals, and goes on where it can."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

from backendai_ctl import log as logs
from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import NO_COMPONENT, Step
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import OutOfTime, Pending, Problem
from backendai_ctl.platform import deadline, files

log = logging.getLogger(__name__)
GRACE = 5  # seconds after the deadline, in which a step may end by itself


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
    components = step.concerns(ctx.facts)
    return components in ((), NO_COMPONENT) or any(ctx.here(name) for name in components)


def plan(steps: Sequence[Step], ctx: Context) -> dict[str, list[Change] | Problem]:
    """What every step would do, or why that cannot be said now. Changes nothing."""
    found: dict[str, list[Change] | Problem] = {}
    for step in ordered([s for s in steps if concerned(s, ctx)]):
        try:
            with within_timeout(step):
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
        missing = [n for n in step.needs if n in outcomes and not outcomes[n].ok]
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
        with within_timeout(step):
            changes = step.check(ctx)
            if not changes:
                return Outcome("same")
            ctx.say(step.title)
            before()
            journal.add("begin", step=step.name, changes=[str(change) for change in changes])
            step.apply(ctx)
        seconds = round(time.monotonic() - began, 1)
        journal.add("done", step=step.name, seconds=seconds)
        return Outcome("done", seconds=seconds)
    except Exception as error:  # whatever it is: the other steps go on, and the journal says it
        problem = _told(error)
        if problem is not error:
            _keep_frames(journal, step.name, error)
        state = "pending" if isinstance(problem, Pending) else "failed"
        outcome = Outcome(state, problem.message, problem.hint, round(time.monotonic() - began, 1))
        _note(journal, step.name, outcome)
        return outcome


def _told(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError):
        return files.trouble(error)
    where = logs.frames(error)[-1].partition(" ")[0]
    return Problem(
        f"{type(error).__name__} in {where}",  # its text may hold a secret
        hint="this is a fault of backendai-ctl: please report it, with the last lines of "
        "/var/lib/backendai/ctl/journal.jsonl",
    )


def _keep_frames(journal: Journal, step: str, error: Exception) -> None:
    """Where a fault came from, for whoever it is reported to."""
    log.debug("%s: %s: %s", step, type(error).__name__, logs.trace(error))
    with suppress(Problem):
        journal.add("fault", step=step, error=type(error).__name__, frames=logs.frames(error))


def _note(journal: Journal, step: str, outcome: Outcome) -> None:
    """Journal a failure once: the same one again on the next run is no news."""
    last = journal.last().get("steps", {}).get(step, {})
    if (last.get("state"), last.get("message")) == (outcome.state, outcome.message):
        return
    # The disk that is full made the step fail as well, and the operator is told that.
    with suppress(Problem):
        journal.add(outcome.state, step=step, message=outcome.message, hint=outcome.hint)


class Alarm(BaseException):
    """The time of a step is out, and it still waits: what only `limited` catches."""


def within_timeout(step: Step) -> AbstractContextManager[None]:
    """The block may take as long as the step; OutOfTime if it takes longer."""
    return limited(step.timeout, step.name, "run: backendai-ctl reconfigure")


@contextmanager
def limited(seconds: int, name: str, hint: str) -> Iterator[None]:
    """The block, called `name`, may take so long; OutOfTime if it takes longer.

    Whatever waits in it ends by its own timeout, which the deadline cuts; the alarm is for what does not.
    """

    def late(_number: int, _frame: FrameType | None) -> None:
        signal.alarm(GRACE)  # something may swallow this one, such as an event loop
        raise Alarm

    before = signal.signal(signal.SIGALRM, late)
    try:
        try:
            signal.alarm(seconds + GRACE)
            with deadline.within(seconds):
                yield
        finally:
            signal.alarm(0)  # it may come until here
    except Alarm:
        raise OutOfTime(f"{name} was not done after {seconds} s", hint=hint) from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def undo(step: Step, ctx: Context) -> None:
    """Take back what a step made, within its time."""
    with within_timeout(step):
        step.undo(ctx)


def worst(outcomes: Mapping[str, Outcome]) -> str:
    """The state of a whole run: failed, pending or done."""
    states = {outcome.state for outcome in outcomes.values()}
    if "failed" in states:
        return "failed"
    return "pending" if states & {"pending", "blocked"} else "done"
