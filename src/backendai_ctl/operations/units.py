"""Starting, stopping and restarting the services of this host, as its administrator asks for it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Pending, Problem
from backendai_ctl.platform import systemd
from backendai_ctl.steps.start_services import HEALTHY_WITHIN, TARGET
from backendai_ctl.topology import backing

WORDS = ("start", "stop", "restart")
TIMEOUT = 2 * HEALTHY_WITHIN  # seconds


def named(ctx: Context, names: Sequence[str], *, more: dict[str, str] | None = None) -> list[str]:
    """The units of components and servers by name; BadRequest for an unknown one.

    `more`: names that count besides.
    """
    known = {name: ctx.facts.components[name].unit for name in ctx.facts.installed()}
    known |= {**backing.units(ctx), **(more or {})}
    units = []
    for name in names:
        short = name.removeprefix("backendai-").removesuffix(".service")
        if short not in known:
            near = difflib.get_close_matches(short, known, 1)
            raise BadRequest(
                f"no component {name!r} on this host",
                hint=f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}",
            )
        units.append(known[short])
    return units


def _all(ctx: Context, word: str) -> list[str]:
    """The target starts what is enabled and waits for it; what it stops it does not wait for.

    Rules of the firewall stay: sessions go on.
    """
    if word == "start":
        return [TARGET]
    known = [ctx.facts.components[name].unit for name in ctx.facts.installed()]
    servers = {name: unit for name, unit in backing.units(ctx).items() if name != "firewall"}
    known += [unit for unit in servers.values() if unit.startswith("backendai")]
    known = list(dict.fromkeys(known))
    # One that fails again and again is not active just now: a restart is for it, too.
    off = ("inactive", "") if word == "restart" else ("inactive", "failed", "")
    running = [unit for unit, state in systemd.states(known).items() if state not in off]
    return [TARGET, *running] if word == "stop" else running


def act(ctx: Context, word: str, names: Sequence[str], *, dry_run: bool) -> list[str]:
    """Start, stop or restart these, all without a name, and wait until it is done; their units.

    BadRequest for what is not of the site, Problem if one does not start. A stop lasts until the next
    start, boot or `reconfigure`.
    """
    units = named(ctx, names) if names else _all(ctx, word)
    for name, unit in zip(names, units, strict=False):
        if not unit.startswith("backendai"):
            raise BadRequest(
                f"{name} is this host's own ({unit}), which is not for backendai-ctl to {word}",
                hint=f"if you mean it: systemctl {word} {unit}",
            )
    if dry_run:
        return units
    if not systemd.booted():
        raise Pending("no systemd is running here", hint="boot this system")
    if not units:
        raise Pending("no service of this host runs", hint="run: backendai-ctl start")
    if word == "stop":
        _stop(units)
        return units
    systemd.forget_failures(units)
    systemd.systemctl(word, *units, timeout=TIMEOUT)
    # systemd counts a unit as started whose conditions keep it down, and a target whatever is in it.
    if down := systemd.not_active(units if units != [TARGET] else _enabled(ctx)):
        raise Problem(f"not running: {', '.join(down)}", hint="see: backendai-ctl status")
    return units


def _stop(units: Sequence[str]) -> None:
    """Stop them, once more what somebody started meanwhile; Problem if one runs all the same."""
    left, why = list(units), ""
    for _ in range(2):
        try:
            systemd.systemctl("stop", *left, timeout=TIMEOUT)
        except Problem as problem:  # such as a job that a start in between took the place of
            why = problem.message
        found = systemd.states(left)
        left = [unit for unit in left if found[unit] not in ("inactive", "failed", "")]
        if not left:
            return
    raise Problem(why or f"not stopped: {', '.join(left)}", hint="see: systemctl list-jobs")


def _enabled(ctx: Context) -> list[str]:
    """Units of the components of this host that its operator has not turned off."""
    units = [ctx.facts.components[name].unit for name in ctx.facts.installed()]
    return [TARGET, *(unit for unit in units if systemd.enabled(unit))]
