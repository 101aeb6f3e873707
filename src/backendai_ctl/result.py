"""What a look at something gave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEVELS = ("fail", "warn", "skip", "ok")


@dataclass(frozen=True)
class Result:
    """What one look gave. `level`: ok, warn, fail, or skip (cannot be known here).

    `name`: what was looked at, where one check looks at several things.
    """

    level: str
    message: str
    hint: str = ""
    name: str = ""

    @property
    def ok(self) -> bool:
        """Nothing failed; it may be a warning."""
        return self.level != "fail"


def ok(message: str, *, name: str = "") -> Result:
    return Result("ok", message, name=name)


def warn(message: str, hint: str = "", *, name: str = "") -> Result:
    return Result("warn", message, hint, name)


def fail(message: str, hint: str = "", *, name: str = "") -> Result:
    return Result("fail", message, hint, name)


def skip(why: str) -> Result:
    return Result("skip", why)


def worst(results: Iterable[Result], *, fine: str) -> Result:
    """One result of several: the most serious level, what was seen at it; `fine` if all are ok."""
    found = list(results)
    level = min((result.level for result in found), key=LEVELS.index, default="ok")
    if level == "ok":
        return ok(fine)
    these = [result for result in found if result.level == level]
    hints = dict.fromkeys(result.hint for result in these if result.hint)
    return Result(level, "; ".join(result.message for result in these), "; ".join(hints))
