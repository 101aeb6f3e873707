"""Asking systemd, where there is one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.platform.run import check, run

_OUTSIDE = ("systemd-run", "--quiet", "--collect", "--wait", "--pipe")
RUNNING = Path("/run/systemd/system")  # sd_booted(3)


def booted() -> bool:
    """Whether systemd is this host's init. Not so in a chroot, an image build, most containers."""
    return RUNNING.is_dir()


def apart() -> bool:
    """Whether this process has a network of its own, in which it reaches no service of the host."""
    try:
        return not os.path.samefile("/proc/self/ns/net", "/proc/1/ns/net")
    except OSError:  # no /proc, or none that tells of PID 1
        return False


def outside(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> str:
    """Run a program as a service of its own, in the network of the host; what it prints.

    Problem if it fails.
    """
    given = [f"--setenv={name}={value}" for name, value in environment.items()]
    return check([*_OUTSIDE, *given, "--", *argv], timeout=timeout)


@contextlib.contextmanager
def transient(
    unit: str, argv: Sequence[str], settings: Mapping[str, str], stdin: str
) -> Iterator[subprocess.Popen[str]]:
    """A program as a service of its own, whose standard output is read to its end in the block.

    It ends with the block. `settings`: of the unit.
    """
    stop = ["systemctl", "stop", unit]
    run(stop)  # one that was left by a run which was killed
    given = [f"--property={name}={value}" for name, value in settings.items()]
    with subprocess.Popen(
        [*_OUTSIDE, f"--unit={unit}", *given, "--", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            with contextlib.suppress(BrokenPipeError):  # it says why by how it ends
                assert process.stdin
                process.stdin.write(stdin)
                process.stdin.close()
            yield process
            process.wait()
        finally:
            run(stop)


def systemctl(*words: str, timeout: float = 90) -> str:
    """Run systemctl; Problem if it fails."""
    done = run(["systemctl", *words], timeout=timeout)
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
    done = run(["systemctl", "show", unit, f"--property={','.join(names)}"], timeout=30)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}


def state(unit: str) -> str:
    """The state of a unit: active, activating, failed, inactive and so on; empty without systemd."""
    return properties(unit, ["ActiveState"]).get("ActiveState", "")


def is_active(unit: str) -> bool:
    return state(unit) == "active"


def enabled(unit: str) -> bool:
    """Whether a unit is enabled, so that a boot starts it."""
    return properties(unit, ["UnitFileState"]).get("UnitFileState") == "enabled"


def states(units: Sequence[str]) -> dict[str, str]:
    """The state of each unit, in one call; empty without systemd."""
    asked = ["systemctl", "is-active", *units]
    said = run(asked, timeout=30).stdout.split() if booted() else []
    return dict(zip(units, said if len(said) == len(units) else [""] * len(units), strict=True))


def not_active(units: Sequence[str]) -> list[str]:
    """Those that are not active, in one call."""
    return [unit for unit, state in states(units).items() if state != "active"]


def forget_failures(units: Sequence[str]) -> None:
    """Let units start again that failed too often; those that never ran have nothing to forget."""
    run(["systemctl", "reset-failed", *units], timeout=30)
