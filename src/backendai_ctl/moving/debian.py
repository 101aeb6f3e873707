"""A server of Debian's as a unit of this host: started to be read, stopped when it is empty of others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.moving.evidence import Former
from backendai_ctl.platform import systemd
from backendai_ctl.probes import servers

START_TIMEOUT = 60  # seconds from the start of a unit to an answer
_AGAIN = "backendai-ctl reconfigure"


@dataclass(frozen=True)
class Package:
    """What Debian calls it."""

    title: str
    package: str
    unit: str
    data: str
    program: str  # a pattern: what is removed with the package, while its init script may stay
    ask: Callable[[Former], object]  # raises servers.FAILURES


PACKAGES = {
    "postgresql": Package(
        "PostgreSQL",
        "postgresql",
        "postgresql.service",
        "/var/lib/postgresql",
        "/usr/lib/postgresql/*/bin/postgres",
        lambda f: servers.postgresql(f.host, f.port, 3),
    ),
    "valkey": Package(
        "Valkey",
        "valkey-server",
        "valkey-server.service",
        "/var/lib/valkey",
        "/usr/bin/valkey-server",
        lambda f: servers.valkey(f.host, f.port, 3),
    ),
    "etcd": Package(
        "etcd",
        "etcd-server",
        "etcd.service",
        "/var/lib/etcd",
        "/usr/bin/etcd",
        lambda f: servers.etcd(f.address, 3),
    ),
}


def awake(former: Former) -> None:
    """Return once it answers, started if need be. Problem if it does not, or is gone."""
    known = PACKAGES[former.name]
    what = f"{known.title} of Debian ({former.address}), which has data of this site,"
    if not _asleep(former):
        return
    if not installed(former.name):
        raise Problem(
            f"{what} is not installed any more",
            hint=f"apt install {known.package}: it finds what is left in {known.data}; then run: "
            f"{_AGAIN}. If that is gone: backendai-ctl purge, {_AGAIN}, backendai-ctl db restore",
        )
    systemd.systemctl("start", known.unit, timeout=180)
    until = time.monotonic() + START_TIMEOUT
    while why := _asleep(former):
        if time.monotonic() > until:
            raise Problem(
                f"{what} does not answer: {why}",
                hint=f"see: systemctl status {known.unit}; then run: {_AGAIN}",
            )
        time.sleep(0.5)


def installed(name: str) -> bool:
    return any(Path("/").glob(PACKAGES[name].program[1:]))


def rest(unit: str) -> None:
    """Stop a unit, now and at every boot, if it is there."""
    if systemd.properties(unit, ["LoadState"]).get("LoadState") == "loaded":
        systemd.systemctl("disable", "--now", unit, timeout=240)


def answers(former: Former) -> bool:
    return not _asleep(former)


def _asleep(former: Former) -> str:
    """Why it does not answer; empty if it does."""
    try:
        PACKAGES[former.name].ask(former)
    except servers.FAILURES as failure:
        return servers.reason(failure) or "no answer"
    return ""
