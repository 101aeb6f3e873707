"""How this host's components and the servers they use are, gathered within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from backendai_ctl import accounts
from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal, Outcome
from backendai_ctl.errors import Pending, Problem, summary
from backendai_ctl.facts import Component, OwnServer
from backendai_ctl.firewall import loaded, ruleset
from backendai_ctl.operations.reconfigure import pending_flag
from backendai_ctl.platform import systemd
from backendai_ctl.platform.together import together
from backendai_ctl.probes import health, servers
from backendai_ctl.probes.health import Health
from backendai_ctl.services.state import started_once, turned_off
from backendai_ctl.steps.create_user import CreateUser
from backendai_ctl.topology import listeners, own_servers

ASK = 1.5  # seconds for one answer
TIMEOUT = 1.8  # seconds for all of them
Shown = Mapping[str, str]  # properties of a unit
Root = tuple[Problem, tuple[str, ...]]  # why, and which components it concerns; (): all
_ACCOUNT = CreateUser.name
_CONFIGURE = "run: backendai-ctl reconfigure"
_PROPERTIES = (
    *("ActiveState", "SubState", "UnitFileState", "ActiveEnterTimestampMonotonic"),
    "StatusText",
)


@dataclass(frozen=True)
class Part:
    """A component or a backing server. `ok`: also if it is off because its operator wants it so."""

    name: str
    unit: str  # empty: not on this host
    state: str  # ActiveState, "off" if its operator disabled it, "" if unknown
    since: str  # ISO time in UTC, empty if not active
    ok: bool
    message: str = ""  # what it says, or what asking it gave
    version: str = ""
    where: str = ""  # servers: local or external, and the address
    causes: tuple[Problem, ...] = ()  # what keeps it from running, most important first

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why it is not ok."""
        if self.ok or self.causes:
            return self.causes
        return (Problem(f"{self.name}: {self.message or 'not running'}"),)

    def data(self) -> dict[str, Any]:
        """As JSON shows it."""
        shown = {key: value for key, value in vars(self).items() if key != "causes"}
        return {**shown, **summary(self.errors)}


@dataclass(frozen=True)
class Status:
    """All of it. `unfinished`: the steps of the last run that are not done, and those that cannot be."""

    version: str
    components: tuple[Part, ...]
    servers: tuple[Part, ...]
    unfinished: tuple[dict[str, str], ...]
    configured: str  # ISO time of the last run that differed from its predecessor; empty: never
    pending: bool  # something changed since, and reconfigure has not finished

    @property
    def errors(self) -> list[Problem]:
        """Why not all is ok, each once; on a host that was never configured it waits for that."""
        # What runs may run as somebody else.
        found = [_error(row) for row in self.unfinished if row["step"] == _ACCOUNT]
        for part in (*self.servers, *self.components):
            for error in part.errors:
                found.append(error if self.configured else Pending(error.message, hint=error.hint))
        return _once(found)

    @property
    def causes(self) -> list[Problem]:
        """What keeps servers and components from running, each once, in order."""
        return _once(cause for part in (*self.servers, *self.components) for cause in part.causes)

    def data(self) -> dict[str, Any]:
        """As JSON shows it."""
        parts = {"components": self.components, "servers": self.servers}
        return {**vars(self), **{key: [part.data() for part in parts[key]] for key in parts}}


def gather(ctx: Context) -> Status:
    """Ask systemd, every component and every server at once."""
    last = Journal(ctx.paths.ctl).last()
    here = [ctx.facts.components[name] for name in ctx.facts.installed()]
    backing = [*servers.needed(ctx), *_optional(ctx), *_firewall(ctx)]
    names = [*(component.unit for component in here), *(s.unit for s in backing if s.unit)]
    # Units and answers at once; one that is late does not take the other with it.
    units = {unit: partial(systemd.properties, unit, _PROPERTIES) for unit in names}
    asked = {c.name: partial(health.ask, listeners.health_url(ctx, c), ASK) for c in here}
    asked |= {server.name: partial(_answer, server) for server in backing}
    jobs: dict[str, Callable[[], Shown | Health | Problem]] = {**units, **asked}
    jobs[_ACCOUNT] = partial(_account, ctx)
    late: Shown | Health | Problem = health.LATE
    found = together(jobs, timeout=TIMEOUT, late=late)
    shown = {unit: got for unit in units if isinstance(got := found[unit], dict)}
    said = {name: got for name in asked if isinstance(got := found[name], Health)}
    unfinished = _unfinished(last)
    if isinstance(wrong := found[_ACCOUNT], Problem):
        row = {"step": _ACCOUNT, "state": "failed", "message": wrong.message, "hint": wrong.hint}
        unfinished.insert(0, row)
    roots = _roots(ctx, unfinished)

    return Status(
        version=ctx.facts.full_version,
        components=tuple(
            _component(ctx, c, shown.get(c.unit, {}), said[c.name], roots) for c in here
        ),
        servers=tuple(_server(ctx, s, shown.get(s.unit, {}), said[s.name]) for s in backing),
        unfinished=tuple(unfinished),
        configured=str(last.get("finished", "")),
        pending=pending_flag(ctx).exists(),
    )


def wait(ctx: Context, seconds: float) -> Status:
    """Gather until all is ok, at most `seconds`; the last one."""
    until = time.monotonic() + seconds
    while True:
        status = gather(ctx)
        left = until - time.monotonic()
        if not status.errors or left <= 0:
            return status
        time.sleep(min(1.0, left))


def _component(
    ctx: Context, component: Component, shown: Shown, said: Health, roots: Sequence[Root]
) -> Part:
    state = _state(shown)
    if turned_off(ctx, component, shown):
        return Part(component.name, component.unit, "off", "", True)
    running = state in ("active", "")
    causes = () if running else _causes(ctx, component, state, roots)
    return Part(
        name=component.name,
        unit=component.unit,
        state=state,
        since=_since(shown) if state == "active" else "",
        ok=running and said.ok,
        message="" if said.ok or (causes and state == "inactive") else said.message,
        version=said.version or ctx.facts.version,
        causes=causes,
    )


def _account(ctx: Context) -> Shown | Problem:
    """Why the services must not run here as things are: somebody else has their account."""
    return accounts.in_the_way(ctx.facts, accounts.known(ctx.facts)) or {}


def _answer(backing: servers.Backing) -> Health:
    try:
        return Health(True, version=backing.ask(ASK))
    except servers.FAILURES as failure:
        return Health(False, servers.reason(failure))


def _optional(ctx: Context) -> list[servers.Backing]:
    """The servers of this host that the site would do without."""
    return [_asked(ctx, ctx.facts.servers[name]) for name in ctx.facts.optional()]


def _asked(ctx: Context, server: OwnServer) -> servers.Backing:
    url = listeners.health_url(ctx, server)

    def ask(timeout: float) -> str:
        said = health.ask(url, timeout)
        if not said.ok:
            raise ConnectionError(said.message)
        return "answers"

    return servers.Backing(server.name, "local", urlsplit(url).netloc, ask, server.unit)


def _firewall(ctx: Context) -> list[servers.Backing]:
    """The rules in the kernel, among the servers: without them no session should be started."""
    if not ruleset.needed(ctx) or not systemd.booted() or not loaded.may_look():
        return []

    def ask(_timeout: float) -> str:
        if why := loaded.amiss(ctx):
            raise ConnectionError(f"{why}; run: backendai-ctl reconfigure")
        return "answers"

    return [servers.Backing("firewall", "local", ruleset.TABLE, ask)]


def _server(ctx: Context, backing: servers.Backing, shown: Shown, said: Health) -> Part:
    where, ours = f"{backing.mode} {backing.address}", ctx.facts.servers.get(backing.name)
    if ours and ours.optional and turned_off(ctx, ours, shown):
        return Part(backing.name, backing.unit, "off", "", True, where=where)
    wrong = None if said.ok else own_servers.trouble(ctx, backing.name, shown)
    return Part(
        name=backing.name,
        unit=backing.unit,
        state=_state(shown),
        since=_since(shown),
        ok=said.ok,
        message=wrong.message if wrong else said.message,
        causes=(Problem(f"{backing.name}: {wrong.message}", hint=wrong.hint),) if wrong else (),
        version=said.version if said.version != "answers" else "",
        where=where,
    )


def _causes(
    ctx: Context, component: Component, state: str, roots: Sequence[Root]
) -> tuple[Problem, ...]:
    """What keeps a component from starting, from the last run's outcome and the unit's flags."""
    causes = tuple(one for one, concerned in roots if not concerned or component.name in concerned)
    if causes:
        return causes
    if not (ctx.paths.config / component.config).exists():
        return (Pending("not configured", hint=_CONFIGURE),)
    if not started_once(ctx, component):
        return (Pending("not started since it was installed", hint=_CONFIGURE),)
    hint = f"see: backendai-ctl logs {component.name}"
    return (Problem(f"{component.unit} is {state}", hint=hint),)


def _roots(ctx: Context, unfinished: list[dict[str, str]]) -> list[Root]:
    """The steps of the last run that failed or wait for something, not those behind them."""
    rows = [row for row in unfinished if row["state"] in ("failed", "pending")]
    if not rows:
        return []
    from backendai_ctl.steps import plan  # imports all steps: only when something is unfinished

    concerned = {step.name: step.concerns(ctx.facts) for step in plan.steps(ctx.facts)}
    return [(_error(row), concerned.get(row["step"], ())) for row in rows]


def _error(row: Mapping[str, str]) -> Problem:
    outcome = Outcome(row["state"], row["message"], row["hint"])
    return outcome.error(f"{row['step']} {row['state']}")


def _once(errors: Iterable[Problem]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for error in errors:
        found.setdefault(error.message, error)
    return list(found.values())


def _unfinished(last: dict[str, Any]) -> list[dict[str, str]]:
    steps: dict[str, dict[str, str]] = last.get("steps", {})
    return [
        {
            "step": name,
            "state": row.get("state", "?"),
            "message": row.get("message", ""),
            "hint": row.get("hint", ""),
        }
        for name, row in steps.items()
        if row.get("state") != "done"
    ]


def _state(shown: Shown) -> str:
    return shown.get("ActiveState", "")


def _since(shown: Shown) -> str:
    """When it became active: systemd's clock that starts at boot, made UTC."""
    entered = shown.get("ActiveEnterTimestampMonotonic", "0")
    if not entered.isdigit() or entered == "0":
        return ""
    ago = timedelta(seconds=max(0.0, time.monotonic() - int(entered) / 1e6))
    return (datetime.now(UTC) - ago).isoformat(timespec="seconds")
