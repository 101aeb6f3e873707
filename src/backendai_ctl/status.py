"""How this host's components and the servers they use are, gathered within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from backendai_ctl import accounts, health, listeners, own_servers, servers
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.facts import Component
from backendai_ctl.health import Health
from backendai_ctl.nodes import firewall, loaded
from backendai_ctl.reconfigure import pending_mark
from backendai_ctl.steps import create_user
from backendai_ctl.steps.journal import Journal
from backendai_ctl.steps.services import LEFT_ALONE, ready_mark
from backendai_ctl.system import systemd
from backendai_ctl.system.together import together

ASK = 1.5  # seconds for one answer
LIMIT = 1.8  # seconds for all of them
Shown = Mapping[str, str]  # properties of a unit
Root = tuple[str, tuple[str, ...]]  # why, and which components it concerns; (): all
_ACCOUNT = create_user.STEP.name
_PROPERTIES = (
    *("ActiveState", "SubState", "UnitFileState", "ActiveEnterTimestampMonotonic"),
    "StatusText",
)


@dataclass(frozen=True)
class Part:
    """A component or a backing server. `why`: what keeps it from running, most important first."""

    name: str
    unit: str  # empty: not on this host
    state: str  # ActiveState, "off" if its operator disabled it, "" if unknown
    since: str  # ISO time in UTC, empty if not active
    well: bool
    detail: str = ""
    version: str = ""
    where: str = ""  # servers: local or external, and the address
    why: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Well, or off because its operator wants it so."""
        return self.well or self.state == "off"


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
    def healthy(self) -> bool:
        if any(row["step"] == _ACCOUNT for row in self.unfinished):
            return False  # what runs may run as somebody else
        return all(part.fine for part in (*self.components, *self.servers))

    def data(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"healthy": self.healthy, **asdict(self)}


def gather(ctx: Context) -> Status:
    """Ask systemd, every component and every server at once."""
    last = Journal(ctx.paths.ctl).last()
    here = [ctx.facts.components[name] for name in ctx.facts.installed()]
    backing = [*servers.needed(ctx), *_firewall(ctx)]
    names = [*(component.unit for component in here), *(s.unit for s in backing if s.unit)]
    # Units and answers at once; one that is late does not take the other with it.
    units = {unit: partial(systemd.properties, unit, _PROPERTIES) for unit in names}
    asked = {c.name: partial(health.ask, listeners.health_url(ctx, c), ASK) for c in here}
    asked |= {server.name: partial(_answer, server) for server in backing}
    jobs: dict[str, Callable[[], Shown | Health | Problem]] = {**units, **asked}
    jobs[_ACCOUNT] = partial(_account, ctx)
    late: Shown | Health | Problem = health.LATE
    found = together(jobs, limit=LIMIT, late=late)
    shown = {unit: got for unit in units if isinstance(got := found[unit], dict)}
    said = {name: got for name in asked if isinstance(got := found[name], Health)}
    unfinished = _unfinished(last)
    if isinstance(wrong := found[_ACCOUNT], Problem):
        row = {"step": _ACCOUNT, "state": "failed", "what": wrong.what, "hint": wrong.hint}
        unfinished.insert(0, row)
    roots = _roots(unfinished)

    return Status(
        version=ctx.facts.full_version,
        components=tuple(
            _component(ctx, c, shown.get(c.unit, {}), said[c.name], roots) for c in here
        ),
        servers=tuple(_server(ctx, s, shown.get(s.unit, {}), said[s.name]) for s in backing),
        unfinished=tuple(unfinished),
        configured=str(last.get("finished", "")),
        pending=pending_mark(ctx).exists(),
    )


def wait(ctx: Context, seconds: float) -> Status:
    """Gather until all is healthy, at most `seconds`; the last one."""
    until = time.monotonic() + seconds
    while True:
        status = gather(ctx)
        left = until - time.monotonic()
        if status.healthy or left <= 0:
            return status
        time.sleep(min(1.0, left))


def _component(
    ctx: Context, component: Component, shown: Shown, said: Health, roots: Sequence[Root]
) -> Part:
    state = _state(shown)
    if turned_off(ctx, component, shown):
        return Part(component.name, component.unit, "off", "", False)
    running = state in ("active", "")
    why = () if running else _why(ctx, component, roots)
    return Part(
        name=component.name,
        unit=component.unit,
        state=state,
        since=_since(shown) if state == "active" else "",
        well=running and said.well,
        detail="" if said.well or (why and state == "inactive") else said.detail,
        version=said.version or ctx.facts.version,
        why=why,
    )


def _account(ctx: Context) -> Shown | Problem:
    """Why the services must not run here as things are: somebody else has their account."""
    return accounts.in_the_way(ctx.facts, accounts.known(ctx.facts)) or {}


def _answer(backing: servers.Backing) -> Health:
    try:
        return Health(True, version=backing.ask(ASK))
    except servers.FAILURES as failure:
        return Health(False, servers.reason(failure))


def _firewall(ctx: Context) -> list[servers.Backing]:
    """The rules in the kernel, among the servers: without them no session should be started."""
    if not firewall.needed(ctx) or not systemd.booted() or not loaded.may_look():
        return []

    def ask(_limit: float) -> str:
        if why := loaded.amiss(ctx):
            raise ConnectionError(f"{why}; run: backendai-ctl reconfigure")
        return "answers"

    return [servers.Backing("firewall", "local", firewall.TABLE, ask)]


def _server(ctx: Context, backing: servers.Backing, shown: Shown, said: Health) -> Part:
    wrong = None if said.well else own_servers.trouble(ctx, backing.name, shown)
    return Part(
        name=backing.name,
        unit=backing.unit,
        state=_state(shown),
        since=_since(shown),
        well=said.well,
        detail=wrong.what if wrong else said.detail,
        why=(f"{backing.name}: {wrong.what}; {wrong.hint}",) if wrong else (),
        version=said.version if said.version != "answers" else "",
        where=f"{backing.mode} {backing.address}",
    )


def _why(ctx: Context, component: Component, roots: Sequence[Root]) -> tuple[str, ...]:
    """What keeps a component from starting, from the last run's outcome and the unit's marks."""
    reasons = tuple(
        text for text, concerned in roots if not concerned or component.name in concerned
    )
    if reasons:
        return reasons
    if not (ctx.paths.config / component.config).exists():
        return ("not configured: run backendai-ctl reconfigure",)
    if not _started_once(ctx, component):
        return ("not started since it was installed: run backendai-ctl reconfigure",)
    return (f"see: backendai-ctl logs {component.name}",)


def turned_off(ctx: Context, component: Component, shown: Shown) -> bool:
    """Whether its operator disabled and stopped it; `shown`: ActiveState and UnitFileState."""
    disabled = shown.get("UnitFileState") in LEFT_ALONE and _started_once(ctx, component)
    return disabled and shown.get("ActiveState") in ("inactive", "failed")


def _started_once(ctx: Context, component: Component) -> bool:
    """Whether the installed version was started by us; packages empty the mark."""
    mark = ready_mark(ctx, component.name)  # root alone reads it
    return mark.exists() and mark.stat().st_size > 0


def _roots(unfinished: list[dict[str, str]]) -> list[Root]:
    """The steps of the last run that failed or wait for something, not those behind them."""
    rows = [row for row in unfinished if row["state"] in ("failed", "pending")]
    if not rows:
        return []
    from backendai_ctl.steps import plan  # imports all steps: only when something is unfinished

    concerned = {step.name: step.components for step in plan.steps()}
    return [
        (f"{row['step']} {row['state']}: {row['what']}", concerned.get(row["step"], ()))
        for row in rows
    ]


def _unfinished(last: dict[str, Any]) -> list[dict[str, str]]:
    steps: dict[str, dict[str, str]] = last.get("steps", {})
    return [
        {
            "step": name,
            "state": row.get("state", "?"),
            "what": row.get("what", ""),
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


def causes(parts: Iterable[Part]) -> list[str]:
    """The reasons of all parts, each once, in order."""
    return list(dict.fromkeys(why for part in parts for why in part.why))
