"""Start the services whose steps are done, restart those whose files changed.

A flag below /var/lib/backendai/ctl/ready allows a unit to start; it holds the fingerprint of what
the service was started with. A unit that its operator disabled or masked is left alone.
"""

from __future__ import annotations

import time

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.engine.base import Step
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Component
from backendai_ctl.platform import files, systemd
from backendai_ctl.services import dropins
from backendai_ctl.services.state import Service, find

TARGET = "backendai.target"
HEALTHY_WITHIN = 170  # seconds from start to healthy, on a slow or busy host
POLL = 0.2  # seconds


class StartServices(Step):
    """The last step. `ready`: the components whose own steps are all done."""

    name = "start-services"
    title = "Start the services"
    timeout = HEALTHY_WITHIN + 60

    def __init__(self, ready: frozenset[str] = frozenset()) -> None:
        self.ready = ready

    def check(self, ctx: Context) -> list[Change]:
        changes = [
            Change(str(path), "write it" if text else "remove it")
            for path, text in dropins.wanted(ctx).items()
            if (files.read(path) or "") != text
        ]
        changes += [change for s in self._services(ctx) if (change := s.change())]
        changes += [Change(c.unit, "stop it: other nodes have it") for c in _moved(ctx)]
        return changes

    def apply(self, ctx: Context) -> None:
        _stop_moved(ctx)
        units = self.begin(ctx)
        if not systemd.booted():
            raise Pending(
                "no systemd is running here: the services start at the next boot",
                hint="boot this system",
            )
        systemd.systemctl("start", "--no-block", TARGET)
        self._wait(ctx, units)

    def begin(self, ctx: Context) -> list[str]:
        """Start them, where systemd runs, and wait for none: the units that are to become healthy."""
        written = dropins.write(ctx)
        services = [s for s in self._services(ctx) if s.change()]
        if not services and not written:
            return []
        fresh = [s.unit for s in services if s.new]
        if fresh:
            systemd.systemctl("--no-reload", "enable", TARGET, *fresh)
        if systemd.booted():
            systemd.systemctl(
                "daemon-reload"
            )  # last: it tells of every unit if links changed since
        restart = [s.unit for s in services if not s.new and s.flagged != s.fingerprint]
        for service in services:
            files.write(service.flag, service.fingerprint + "\n", mode=0o600)
        units = [service.unit for service in services]
        if units and systemd.booted():
            systemd.forget_failures(units)
            if restart:
                systemd.systemctl("restart", "--no-block", *restart)
            systemd.systemctl("start", "--no-block", *units)
        return units

    def undo(self, ctx: Context) -> None:
        units = [ctx.facts.components[name].unit for name in ctx.facts.installed()]
        if units:
            systemd.systemctl("--no-reload", "disable", TARGET, *units)
            if systemd.booted():
                # Not the target: with it the servers would stop, which other steps need yet.
                systemd.systemctl("stop", *units)
        for name in ctx.facts.components:
            ctx.paths.ready(name).unlink(missing_ok=True)
        dropins.remove(ctx)

    def _services(self, ctx: Context) -> list[Service]:
        return [
            find(ctx, ctx.facts.components[name])
            for name in ctx.facts.installed()
            if name in self.ready
        ]

    def _wait(self, ctx: Context, units: list[str]) -> None:
        """Until every unit is active, which it is once its health URL answered."""
        until = time.monotonic() + HEALTHY_WITHIN
        waiting, told = list(units), 0
        while waiting and time.monotonic() < until:
            waiting = systemd.not_active(waiting)
            if waiting and len(waiting) != told:
                told = len(waiting)
                ctx.say(f"  {len(units) - told} of {len(units)} services are healthy")
            time.sleep(POLL if waiting else 0)
        if waiting:
            raise Problem(
                f"not healthy after {HEALTHY_WITHIN} s: {', '.join(waiting)}",
                hint=f"see: backendai-ctl logs {waiting[0][len('backendai-') : -len('.service')]}",
            )


def _moved(ctx: Context) -> list[Component]:
    """Components that were started here before the site file gave them to other nodes."""
    here = ctx.facts.installed()
    others = [c for name, c in ctx.facts.components.items() if name not in here]
    return [c for c in others if ctx.facts.only is not None and ctx.paths.ready(c.name).exists()]


def _stop_moved(ctx: Context) -> None:
    moved = _moved(ctx)
    if not moved:
        return
    units = [component.unit for component in moved]
    systemd.systemctl("--no-reload", "disable", *units)
    if systemd.booted():
        systemd.systemctl("stop", *units)
        systemd.systemctl("daemon-reload")
    for component in moved:
        ctx.paths.ready(component.name).unlink()
