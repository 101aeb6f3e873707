"""Running programs: with a timeout, a clean environment, and no secret in argv or environment."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backendai_ctl.errors import OutOfTime, Problem
from backendai_ctl.platform import deadline

log = logging.getLogger(__name__)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Done:
    """What a program gave."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last lines it said, for an error message."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return "\n".join(lines[-12:])


def run(
    argv: Sequence[str],
    *,
    user: str | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str = "/",
    timeout: float = 120,
) -> Done:
    """Run a program to its end, as `user` if we are root; standard input is empty by default.

    Raises OutOfTime after `timeout` seconds, or when the time of the step is out (its whole process
    group is killed, also when we are interrupted), Problem if the program does not exist. Any exit
    status is a result.
    """
    timeout, began = deadline.left(timeout), time.monotonic()
    switch = {"user": user, "group": user, "extra_groups": []} if user and os.geteuid() == 0 else {}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            env={"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", **(env or {})},
            start_new_session=True,
            umask=0o077,
            **switch,  # type: ignore[call-overload]
        )
    except FileNotFoundError as error:
        raise Problem(
            f"{argv[0]} is not installed", hint=f"install the package that has {argv[0]}"
        ) from error
    try:
        out, err = process.communicate(stdin or "", timeout=timeout)
    except subprocess.TimeoutExpired as error:
        _kill(process)
        log.debug("%s: killed after %.1f s", shlex.join(argv), timeout)
        raise OutOfTime(
            f"{argv[0]} was not done after {timeout:.0f} s", hint="run: backendai-ctl reconfigure"
        ) from error
    except BaseException:
        _kill(process)
        raise
    took = time.monotonic() - began
    log.debug("%s: status %s in %.2f s", shlex.join(argv), process.returncode, took)
    return Done(process.returncode, out, err)


def check(argv: Sequence[str], *, hint: str = "", **options: object) -> str:
    """As `run`; Problem with the end of its output if it fails. Its standard output."""
    done = run(argv, **options)  # type: ignore[arg-type]
    if done.returncode:
        raise Problem(f"{argv[0]} failed ({done.returncode}): {done.tail}", hint=hint)
    return done.stdout


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
