"""The services of this host: stopped while data moves, started as they were where that fails."""

from __future__ import annotations

import contextlib

from backendai_ctl.context import Context
from backendai_ctl.database.connection import connect
from backendai_ctl.database.databases import Target
from backendai_ctl.database.inspect import look
from backendai_ctl.database.revisions import read as read_revisions
from backendai_ctl.errors import Problem
from backendai_ctl.moving import record
from backendai_ctl.platform import files, systemd

_RUNS = ("active", "activating", "reloading")
_AS_BEFORE = (
    "as before its servers moved\n"  # no fingerprint: the next run that ends well restarts it
)


def stop(ctx: Context, names: tuple[str, ...]) -> None:
    """Stop them and keep them from starting until their flags are written again.

    What ran is in the record before anything is stopped.
    """
    here = [ctx.facts.components[name] for name in ctx.facts.installed() if name in names]
    running = {
        c.name: files.read(ctx.paths.ready(c.name)) or ""
        for c in here
        if systemd.properties(c.unit, ["ActiveState"]).get("ActiveState") in _RUNS
    }
    record.note(ctx, state=record.MOVING, stopped={**running, **record.read(ctx).stopped})
    for component in here:
        if ctx.paths.ready(component.name).exists():
            files.write(ctx.paths.ready(component.name), "", mode=0o600)
    if running:
        ctx.say("  stop the services")
        systemd.systemctl("stop", *(c.unit for c in here if c.name in running), timeout=240)


def start(ctx: Context, former: Context) -> None:
    """Start those that ran; `former` is the context with the servers that they are configured for.

    Packages are newer than what ran: a service whose schema they would have to migrate stays down.
    """
    units = []
    for name, held in record.read(ctx).stopped.items():
        component = ctx.facts.components.get(name)
        if component is None or not ctx.paths.ready(name).exists():
            continue
        if not held and not _fits(former, name):
            ctx.say(f"  {component.unit} stays down: its database has the schema of before")
            continue
        files.write(ctx.paths.ready(name), held or _AS_BEFORE, mode=0o600)
        units.append(component.unit)
    if units:
        systemd.forget_failures(units)
        systemd.systemctl("start", "--no-block", *units)
        ctx.say("  the services start again, with the servers that they had")
    record.note(ctx, stopped={})


def _fits(former: Context, component: str) -> bool:
    """Whether the installed release can work with the component's database as it is."""
    for database in former.facts.databases():
        if database.component == component:
            target = Target(former, database)
            with contextlib.suppress(Problem), connect(target) as db:
                return look(db).revision == read_revisions(target.scripts).head
            return False
    return True
