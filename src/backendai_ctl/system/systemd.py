"""Asking systemd, where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.system.run import run

RUNNING = Path("/run/systemd/system")  # sd_booted(3)


def booted() -> bool:
    """Whether systemd is this host's init. Not so in a chroot, an image build, most containers."""
    return RUNNING.is_dir()


def systemctl(*words: str, limit: float = 90) -> str:
    """Run systemctl; Problem if it fails."""
    done = run(["systemctl", *words], limit=limit)
    if done.returncode:
        raise Problem(
            f"systemctl {' '.join(words)} failed: {done.tail}",
            hint="see: systemctl --failed; journalctl -b -p warning",
        )
    return done.stdout


def properties(unit: str, names: Sequence[str]) -> dict[str, str]:
    """Properties of a unit by name, as `systemctl show` tells them; empty without systemd."""
    if not booted():
        return {}
    done = run(["systemctl", "show", unit, f"--property={','.join(names)}"], limit=30)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}


def is_active(unit: str) -> bool:
    return properties(unit, ["ActiveState"]).get("ActiveState") == "active"


def not_active(units: Sequence[str]) -> list[str]:
    """Those that are not active, in one call."""
    said = run(["systemctl", "is-active", *units], limit=30).stdout.split()
    states = said if len(said) == len(units) else [""] * len(units)
    return [unit for unit, state in zip(units, states, strict=True) if state != "active"]


def forget_failures(units: Sequence[str]) -> None:
    """Let units start again that failed too often; those that never ran have nothing to forget."""
    run(["systemctl", "reset-failed", *units], limit=30)
