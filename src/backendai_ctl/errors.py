"""What goes wrong, said so that the operator can mend it."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1  # something did not work, or a check found a fault
EXIT_USAGE = 2  # the request itself is wrong: unknown option, bad site file


class Problem(Exception):
    """A failure with its cure. Nothing was half-written when it is raised.

    `what` names the file, the key and the reason; `hint` is what to do, a command if there is one.
    """

    exit_code = EXIT_FAILED

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\nhint: {self.hint}" if self.hint else self.what


class BadRequest(Problem):
    """The request or the site file is wrong; nothing was tried."""

    exit_code = EXIT_USAGE


class Pending(Problem):
    """It cannot be done now (a service is down, no systemd): the next run or boot finishes it."""


class OutOfTime(Problem):
    """A step took longer than its limit."""
