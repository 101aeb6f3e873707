"""Start the services whose steps are done, restart those whose files changed.

A mark below /var/lib/backendai/ctl/ready allows a unit to start; it holds the fingerprint of what
the service was started with. A unit that its operator disabled or masked is left alone.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl import servers
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.etcd import seed
from backendai_ctl.facts import Component
from backendai_ctl.steps import dropins
from backendai_ctl.steps.base import Change
from backendai_ctl.steps.prepare_etcd import login_mark
from backendai_ctl.system import files, systemd

TARGET = "backendai.target"
HEALTHY_WITHIN = 170  # seconds from start to healthy, on a slow or busy host
POLL = 0.5  # seconds
LEFT_ALONE = ("disabled", "masked", "masked-runtime")


@dataclass(frozen=True)
class Service:
    """A service of this host: what is and what should be."""

    component: Component
    mark: Path
    fingerprint: str  # of its configuration, secrets, drop-in and version
    enabled: str  # as `systemctl is-enabled` says
    active: str  # ActiveState

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def unit(self) -> str:
        return self.component.unit

    @property
    def marked(self) -> str:
        return (files.read(self.mark) or "").strip()

    @property
    def new(self) -> bool:
        """Never started by us. A package upgrade empties the mark, but it stays."""
        return not self.mark.exists()

    @property
    def left_alone(self) -> bool:
        return not self.new and self.enabled in LEFT_ALONE

    def change(self) -> Change | None:
        """What is to be done about it."""
        if self.left_alone:
            return None
        if self.new:
            return Change(self.unit, "start it, now and at every boot")
        if self.marked != self.fingerprint:
            return Change(self.unit, "restart it: its configuration or version changed")
        if self.active == "activating":
            return Change(self.unit, "wait until it is healthy")
        if self.active not in ("active", "reloading"):
            return Change(self.unit, f"start it: it is {self.active or 'not running'}")
        return None


@dataclass(frozen=True)
class StartServices:
    """The last step. `ready`: the components whose own steps are all done."""

    ready: frozenset[str]
    name: str = "start-services"
    title: str = "Start the services"
    needs: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    limit: int = HEALTHY_WITHIN + 60

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
        restart = [s.unit for s in services if not s.new and s.marked != s.fingerprint]
        for service in services:
            files.write(service.mark, service.fingerprint + "\n", mode=0o600)
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
                systemd.systemctl("stop", TARGET, *units)
        for name in ctx.facts.components:
            ready_mark(ctx, name).unlink(missing_ok=True)
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
    return [c for c in others if ctx.facts.only is not None and ready_mark(ctx, c.name).exists()]


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
        ready_mark(ctx, component.name).unlink()


def ready_mark(ctx: Context, component: str) -> Path:
    return ctx.paths.ctl / "ready" / component


def find(ctx: Context, component: Component) -> Service:
    """A service as it is now."""
    shown = systemd.properties(component.unit, ["ActiveState", "UnitFileState"])
    return Service(
        component=component,
        mark=ready_mark(ctx, component.name),
        fingerprint=fingerprint(ctx, component),
        enabled=shown.get("UnitFileState", ""),
        active=shown.get("ActiveState", "inactive" if systemd.booted() else "active"),
    )


def fingerprint(ctx: Context, component: Component) -> str:
    """Of all that a running service was given. Hides what it is made of."""
    digest = hashlib.sha256(ctx.facts.full_version.encode())
    given = [ctx.paths.config / component.config, dropins.path(component)]
    given += sorted(ctx.paths.config / name for name in component.credentials)
    given.append(ctx.paths.tls / "trust.crt")  # read once; the file itself is in its mounts
    if component.name in servers.USERS["etcd"]:
        given += [login_mark(ctx), seed.mark(ctx)]  # etcd tells its clients of neither
    for path in given:
        digest.update(f"\0{path}\0{files.read(path) or ''}".encode())
    return digest.hexdigest()


STEP = StartServices(frozenset())  # as part of the plan; see reconfigure.py
