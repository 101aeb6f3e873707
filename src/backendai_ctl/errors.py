"""What goes wrong, said so that the operator can mend it; and what every command says of it.

A command ends with its errors: `summary` is what its JSON says of them, `exit_status` what the shell
gets. There is no other place that gives either a meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Where several errors meet, the lowest number counts.
EXIT_OK, EXIT_FAILED, EXIT_REQUEST, EXIT_PENDING, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
EXIT_STATUSES = {
    EXIT_OK: "success: the command did its work, or its checks found no fault",
    EXIT_FAILED: "failure: something failed, or a check found a fault",
    EXIT_REQUEST: "wrong request: unknown argument or option, or a fault in the site file; nothing was done",
    EXIT_PENDING: "pending: something has to wait, such as for a server; the next run or boot finishes it",
    EXIT_INTERRUPTED: "interrupted: run the command again to continue",
}


class Problem(Exception):
    """A failure, and what to do. Nothing was half-written when it is raised.

    `message` names the file, the key and the reason; `hint` is what to do, a command if there is one.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def rows(self) -> list[dict[str, Any]]:
        """As `errors` of JSON: a row for each thing to mend."""
        return [{"message": self.message, "hint": self.hint}]


class BadRequest(Problem):
    """The request or the site file is wrong; nothing was tried."""

    exit_code = EXIT_REQUEST


class Pending(Problem):
    """It cannot be done now (a service is down, no systemd): the next run or boot finishes it."""

    exit_code = EXIT_PENDING


class OutOfTime(Problem):
    """A step took longer than its timeout."""


class Interrupted(Problem):
    """Somebody pressed Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


def exit_status(errors: Sequence[Problem]) -> int:
    """Of a command that ends with these errors."""
    return min((error.exit_code for error in errors), default=EXIT_OK)


def summary(errors: Sequence[Problem]) -> dict[str, Any]:
    """What the JSON of every command says of its errors: `ok` exactly if there is none."""
    return {"ok": not errors, "errors": [row for error in errors for row in error.rows()]}
