"""A service as it is and as it should be: of a component, or of a server that the site brings along.

A flag below /var/lib/backendai/ctl/ready allows a unit to start; it holds the fingerprint of what
the service was started with. A unit that its operator disabled or masked is left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.etcd import seed
from backendai_ctl.facts import Component, OwnServer
from backendai_ctl.platform import files, systemd
from backendai_ctl.services import dropins, plugins
from backendai_ctl.topology.addresses import trust_file

LEFT_ALONE = ("disabled", "masked", "masked-runtime")


@dataclass(frozen=True)
class Service:
    """A service of this host: what is and what should be."""

    component: Component
    flag: Path
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
    def flagged(self) -> str:
        return (files.read(self.flag) or "").strip()

    @property
    def new(self) -> bool:
        """Never started by us. A package upgrade empties the flag, but it stays."""
        return not self.flag.exists()

    @property
    def left_alone(self) -> bool:
        return not self.new and self.enabled in LEFT_ALONE

    def change(self) -> Change | None:
        """What is to be done about it."""
        if self.left_alone:
            return None
        if self.new:
            return Change(self.unit, "start it, now and at every boot")
        if self.flagged != self.fingerprint:
            return Change(self.unit, "restart it: its configuration or version changed")
        if self.active == "activating":
            return Change(self.unit, "wait until it is healthy")
        if self.active not in ("active", "reloading"):
            return Change(self.unit, f"start it: it is {self.active or 'not running'}")
        return None


def find(ctx: Context, component: Component) -> Service:
    """A service as it is now."""
    shown = systemd.properties(component.unit, ["ActiveState", "UnitFileState"])
    return Service(
        component=component,
        flag=ctx.paths.ready(component.name),
        fingerprint=fingerprint(ctx, component),
        enabled=shown.get("UnitFileState", ""),
        active=shown.get("ActiveState", "inactive" if systemd.booted() else "active"),
    )


def fingerprint(ctx: Context, component: Component) -> str:
    """Of all that a running service was given. Hides what it is made of."""
    digest = hashlib.sha256(ctx.facts.full_version.encode())
    given = [ctx.paths.config / component.config, dropins.path(component)]
    given += sorted(ctx.paths.config / name for name in component.credentials)
    given += plugins.drop_ins(ctx, component)
    if not isinstance(component, OwnServer):  # these know no authorities
        given.append(trust_file(ctx, component.name))  # read once; the file itself is in its mounts
    if component.name in ctx.facts.using("etcd"):
        given.append(seed.flag(ctx))  # etcd does not tell its clients
    for path in given:
        digest.update(f"\0{path}\0{files.read(path) or ''}".encode())
    return digest.hexdigest()


def turned_off(ctx: Context, component: Component, shown: Mapping[str, str]) -> bool:
    """Whether its operator disabled and stopped it; `shown`: ActiveState and UnitFileState."""
    disabled = shown.get("UnitFileState") in LEFT_ALONE and started_once(ctx, component)
    return disabled and shown.get("ActiveState") in ("inactive", "failed")


def started_once(ctx: Context, component: Component) -> bool:
    """Whether the installed version was started by us; packages empty the flag."""
    flag = ctx.paths.ready(component.name)  # root alone reads it
    return flag.exists() and flag.stat().st_size > 0
