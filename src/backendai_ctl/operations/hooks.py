"""What maintainer scripts of the packages ask for: configure this host once, at the end.

Scripts flag the host as pending; dpkg's trigger and rpm's %posttrans then call `triggered`, once for
every package, and the first call does the work; each of its steps has a time limit. What cannot be
done leaves the flag, and one line says so: the next boot (backendai-reconfigure.service) or
`backendai-ctl reconfigure` finishes it. Scripts may have a network of their own, as rpm 4.20 gives them
(its plugin `unshare`): there systemd makes that call.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.engine.journal import Journal
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.log import trace
from backendai_ctl.operations import reconfigure, upkeep
from backendai_ctl.platform import files, systemd
from backendai_ctl.topology.addresses import public_url

log = logging.getLogger(__name__)
SWITCH = "BACKENDAI_NO_CONFIGURE"  # in the environment of the package manager
TRIED = "tried\n"  # in the flag: this transaction has had its attempt
CALL = ("/usr/bin/backendai-ctl", "hook", "triggered", "--json")
CALL_TIMEOUT = 3600  # seconds, as backendai-reconfigure.service has
LATER = "finished at the next boot, or now by: backendai-ctl reconfigure"

Load = Callable[[], Context]


def unwanted(facts: Facts, environment: Mapping[str, str]) -> str:
    """Why packages do not configure this host by themselves; empty if they do.

    They do where a role package says what the host is for, or a site file does, and where it was
    configured once: a role goes with the first of its components that is removed. `purge` ends that.
    """
    if environment.get(SWITCH, "0") not in ("", "0"):
        return f"{SWITCH} is set"
    if no_configure(facts).exists():
        return f"{no_configure(facts)} exists"
    if not (facts.paths.site_file.exists() or roles(facts) or configured(facts)):
        return f"no role (such as backendai-all-in-one) and no {facts.paths.site_file}"
    return ""


def to_join(facts: Facts) -> str:
    """What makes this host part of a site, if its roles are useless alone; else empty.

    Configured by itself it would make passwords that no server of the site knows. One that was
    configured without a site file is a site of its own.
    """
    known = {f"backendai-{name}": name for name in roles(facts)}
    found = [role for role in facts.roles.values() if role.package in known]
    alone = found and not any(role.servers for role in found)
    if not alone or facts.paths.site_file.exists() or configured(facts):
        return ""
    return "a node of this kind joins a site: backendai-ctl node join FILE"


def configured(facts: Facts) -> bool:
    """Whether this host was configured before, by packages or by its operator."""
    return bool(Journal(facts.paths.ctl).last())


def no_configure(facts: Facts) -> Path:
    """The operator's file that keeps packages from configuring this host."""
    return facts.paths.config / "no-configure"


def roles(facts: Facts) -> list[str]:
    """The roles of this host: the packages of roles that are installed."""
    folder = facts.paths.share / "roles"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def plan(facts: Facts, environment: Mapping[str, str]) -> str:
    """What a call would do now, in the words of its line; changes nothing."""
    would = "would configure this host; see: backendai-ctl reconfigure --dry-run"
    return _declined(facts, environment) or would


def triggered(facts: Facts, load: Load, environment: Mapping[str, str]) -> str:
    """Configure the host if that is pending and was not tried since; the line to print, or "".

    `load` gives the context, or raises the Problem with the site file. Nothing is raised: whatever
    goes wrong, packages are installed.
    """
    flag = facts.paths.ctl / "pending"
    try:
        if files.read(flag) in (None, TRIED):
            return ""
        if systemd.booted() and systemd.apart():
            return _by_systemd(flag, environment)
        files.write(flag, TRIED, mode=0o644)
        if systemd.booted():  # once for all packages, whose scripts leave it to this
            systemd.systemctl("daemon-reload")
        elif not unwanted(facts, environment):
            # An image, perhaps: what is made now, secrets among it, would be the same on every host.
            return f"pending: no systemd is running here; {LATER}"
        return configure(facts, load, environment)
    except Problem as problem:
        hint = f" ({problem.hint})" if problem.hint else ""
        return f"pending: {problem.message}{hint}; {LATER}"
    except Exception as error:  # a fault of ours must not be one of the package manager
        log.warning("%s: %s", type(error).__name__, trace(error))
        return f"pending: {type(error).__name__}: {error}; {LATER}"


def _by_systemd(flag: Path, environment: Mapping[str, str]) -> str:
    """The line of the same call in the host's own network, which is this transaction's attempt."""
    switch = {SWITCH: environment[SWITCH]} if SWITCH in environment else {}
    try:
        said = json.loads(systemd.outside(CALL, switch, CALL_TIMEOUT))
    except Problem:
        files.write(flag, TRIED, mode=0o644)
        raise
    return str(said["message"])


def configure(facts: Facts, load: Load, environment: Mapping[str, str]) -> str:
    """Configure the host where that is wanted; the line to print. Problem with what is not done."""
    if line := _declined(facts, environment):
        return line
    ctx = load()
    report = reconfigure.reconfigure(ctx)
    if report.state == "done":
        return f"this host is configured{_way_in(ctx)}" if report.changed else ""
    bad = report.unfinished
    name, outcome = next(iter(sorted(bad.items(), key=lambda item: item[1].state)))
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    kind = Problem if report.state == "failed" else Pending
    raise kind(f"{name}: {outcome.message}{more}", hint=outcome.hint)


def maintain(facts: Facts, load: Load, environment: Mapping[str, str]) -> str:
    """Do the upkeep of a host that was configured; the line to print. Problem with what is not done."""
    if not configured(facts) or no_configure(facts).exists():
        return ""
    return upkeep.upkeep(load())


def _declined(facts: Facts, environment: Mapping[str, str]) -> str:
    """The line of a host that is not configured by its packages; empty if it is."""
    if how := to_join(facts):
        return f"not configured: {how}"
    if why := unwanted(facts, environment):
        return f"not configured: {why}; to do it: backendai-ctl reconfigure"
    return ""


def _way_in(ctx: Context) -> str:
    if not ctx.here("webserver"):
        return ""
    return (
        f"; web UI: {public_url(ctx, 'webserver', 'http')} (see: backendai-ctl admin show-endpoint)"
    )
