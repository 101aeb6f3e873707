"""Bring this host to what its site file says: all steps, then the services."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from backendai_ctl import accounts
from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.engine.base import Step
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.nodes import announced
from backendai_ctl.platform import files, systemd
from backendai_ctl.services import serving
from backendai_ctl.steps.create_user import CreateUser
from backendai_ctl.steps.plan import steps as all_steps
from backendai_ctl.steps.start_services import StartServices


@dataclass(frozen=True)
class Report:
    """How a run ended. With dry_run, `plan` says what it would do and nothing was done."""

    state: str  # done, pending or failed
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    plan: dict[str, list[Change] | Problem] = field(default_factory=dict)

    @property
    def changed(self) -> list[str]:
        """Names of the steps that did something."""
        return [name for name, outcome in self.outcomes.items() if outcome.state == "done"]

    @property
    def unfinished(self) -> dict[str, Outcome]:
        """Steps that failed or are pending; those that wait for them (blocked) say nothing more."""
        return {n: one for n, one in self.outcomes.items() if one.state in ("failed", "pending")}

    @property
    def errors(self) -> list[Problem]:
        """Why it is not done."""
        return [outcome.error(name) for name, outcome in self.unfinished.items()]


def pending_flag(ctx: Context) -> Path:
    """Present while something is to be done; see backendai-reconfigure.service."""
    return ctx.paths.ctl / "pending"


def reconfigure(ctx: Context, *, dry_run: bool = False, only: Sequence[str] = ()) -> Report:
    """Run every step that differs from what is wanted.

    `only` limits it to some steps by name. Raises BadRequest for an unknown one, Pending if
    another run does not end, Problem if somebody else has the services' account. Failures of
    steps are in the report.
    """
    steps = [step for step in all_steps(ctx.facts) if not isinstance(step, StartServices)]
    _refuse_unknown(only, steps)
    accounts.refuse(ctx.facts)
    chosen = [step for step in steps if not only or step.name in (*only, CreateUser.name)]
    services = not only or StartServices.name in only
    if dry_run:
        plan = runner.plan(chosen, ctx)
        if services:
            everything = StartServices(frozenset(ctx.facts.installed()))
            plan |= runner.plan([everything], ctx)
        return Report("done", plan=plan)
    with exclusive(ctx):
        journal = Journal(ctx.paths.ctl)
        before = _nothing if only else partial(flag_pending, ctx)
        early = Early(chosen, ctx, journal) if services and systemd.booted() and not only else None
        after = early or _nothing
        outcomes = runner.execute(chosen, ctx, journal, before=before, after=after)
        if early:
            outcomes |= early.done
        if services:
            rest = [step for step in steps if step not in chosen]
            may_run = ready(steps, {**outcomes, **_looked_at(rest, ctx)}, ctx)
            last = StartServices(may_run)
            outcomes |= runner.execute([last], ctx, journal, before=before)
        state = runner.worst(outcomes)
        if not only:
            _keep(journal, outcomes)
            announced.tell(ctx)
            if state == "done":
                pending_flag(ctx).unlink(missing_ok=True)
            else:
                flag_pending(ctx)
    return Report(state, outcomes)


def flag_pending(ctx: Context) -> None:
    """Have the next boot finish what is begun now, should it be cut off."""
    if not pending_flag(ctx).exists():
        files.write(pending_flag(ctx), "", mode=0o644)


def _nothing(*_: object) -> None:
    return None


def _looked_at(steps: Sequence[Step], ctx: Context) -> dict[str, Outcome]:
    """Steps that are not run now: services start only where these have nothing to do either."""
    found = {}
    for step in steps:
        if runner.concerned(step, ctx):
            try:
                todo = bool(step.check(ctx))
            except (Problem, OSError):
                todo = True
            found[step.name] = Outcome("pending" if todo else "same")
    return found


def _keep(journal: Journal, outcomes: dict[str, Outcome]) -> None:
    """Keep the outcome; on a full disk the run's own message has to do."""
    with suppress(Problem):
        journal.finish(outcomes)


def ready(steps: Sequence[Step], outcomes: Mapping[str, Outcome], ctx: Context) -> frozenset[str]:
    """The components here all of whose steps ended well, and of those that they start after."""
    concerned = (step for step in steps if runner.concerned(step, ctx))
    bad = [s for s in concerned if s.name not in outcomes or not outcomes[s.name].ok]
    here = {name: ctx.facts.components[name] for name in ctx.facts.installed()}
    late = {
        component.unit
        for name, component in here.items()
        if any(name in (step.concerns(ctx.facts) or (name,)) for step in bad)
    }
    return frozenset(
        name
        for name, component in here.items()
        if component.unit not in late and late.isdisjoint(component.after)
    )


@dataclass
class Early:
    """Starts servers and services while steps go on that are none of their business.

    The step of each server waits for it. The last step starts whatever is left, waits for all, and
    tells what went wrong.
    """

    steps: Sequence[Step]
    ctx: Context
    journal: Journal
    begun: frozenset[str] = frozenset()
    servers: dict[str, float] = field(default_factory=dict)  # name of the step -> when it began
    done: dict[str, Outcome] = field(default_factory=dict)  # of steps that had only to look

    def __call__(self, outcomes: Mapping[str, Outcome]) -> None:
        self._note(outcomes)
        self._servers(outcomes)
        now = ready(self.steps, outcomes, self.ctx)
        if now - self.begun:
            with suppress(Problem, OSError):
                if StartServices(now - self.begun).begin(self.ctx):
                    self.ctx.say(f"  starting: {', '.join(sorted(now - self.begun))}")
            self.begun |= now

    def _servers(self, outcomes: Mapping[str, Outcome]) -> None:
        """Those whose step has all that it needs and whose turn it is not yet."""
        mine = [step for step in self.steps if runner.concerned(step, self.ctx)]
        names = {step.name for step in mine}
        done = {name for name, outcome in outcomes.items() if outcome.ok}
        for step in mine:
            if not isinstance(step, serving.Serve):
                continue
            if step.name in self.begun or step.name in outcomes:
                continue
            if done >= names & set(step.needs):
                self.begun |= {step.name}
                with suppress(Problem, OSError):
                    changes = serving.todo(self.ctx, step.server)
                    if changes:
                        flag_pending(self.ctx)
                        shown = [str(change) for change in changes]
                        self.journal.add("begin", step=step.name, changes=shown)
                        step.begin(self.ctx)
                        self.servers[step.name] = time.monotonic()

    def _note(self, outcomes: Mapping[str, Outcome]) -> None:
        """A server that was well, with all in place, when its turn came was set up by this run."""
        for name, began in self.servers.items():
            if name not in self.done and name in outcomes and outcomes[name].state == "same":
                seconds = round(time.monotonic() - began, 1)
                self.done[name] = Outcome("done", seconds=seconds)
                with suppress(Problem):
                    self.journal.add("done", step=name, seconds=seconds)


@contextmanager
def exclusive(ctx: Context, name: str = "lock") -> Iterator[None]:
    """Hold the lock of this host: one run at a time. Pending if another one is at work.

    `name`: of the lock, where a work has one of its own.
    """
    files.make_folder(ctx.paths.ctl, mode=0o755)
    for record in ctx.paths.ctl.glob("*.json"):  # of a release that let everybody read them
        if (mode := record.stat().st_mode & 0o777) & ~0o640:
            record.chmod(mode & 0o640)
    with (ctx.paths.ctl / name).open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Pending(
                "another backendai-ctl is at work on this host",
                hint="wait until it is done, then run this again",
            ) from None
        yield


def _refuse_unknown(only: Sequence[str], steps: Sequence[Step]) -> None:
    known = [*(step.name for step in steps), StartServices.name]
    for name in only:
        if name not in known:
            raise BadRequest(f"there is no step {name!r}", hint=f"steps are: {', '.join(known)}")
