"""What an acceptance tried, one thing after the other: whatever somebody answers, the rest is tried."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from backendai_ctl import log as logs
from backendai_ctl.engine.runner import limited
from backendai_ctl.errors import Problem
from backendai_ctl.platform.text import one_line

log = logging.getLogger(__name__)
LIMIT = 300  # seconds for one trial, however slowly somebody answers
_MESSAGE = 500  # characters: it may be a session's
# Where the reason of a failure may be.
STORAGE = "see there: backendai-ctl storage status, backendai-ctl logs storage-proxy"
APPS = "see: backendai-ctl logs appproxy-coordinator appproxy-worker appproxy-tcp-worker"
AGENT = "see there: backendai-ctl logs agent"
WEB = "see: backendai-ctl logs webserver manager"
DOCTOR = "see there: backendai-ctl doctor"


class Skip(Exception):
    """Why something cannot be tried here, although nothing is broken."""


@dataclass(frozen=True)
class Outcome:
    """One thing that was tried. `level`: ok, fail, or skip; `seconds`: how long it took."""

    group: str
    name: str
    level: str
    message: str
    hint: str = ""
    seconds: float = 0.0


@dataclass
class Trials:
    """What was tried so far; `tell` hears of each outcome at once."""

    tell: Callable[[Outcome], None]
    outcomes: list[Outcome] = field(default_factory=list)

    def attempt(
        self, group: str, name: str, do: Callable[[], str], look: str = "", limit: int = LIMIT
    ) -> bool:
        """Whether `do` ended well, within `limit` seconds; it returns what was seen. `look`: where the reason
        may be if it did not."""
        began = time.monotonic()
        try:
            with limited(limit, name, ""):
                level, message, hint = "ok", do(), ""
        except Skip as reason:
            level, message, hint = "skip", str(reason), ""
        except Problem as problem:
            level, message, hint = "fail", problem.message, problem.hint or look
        except Exception as odd:  # whatever somebody answers: the rest is tried
            log.debug("%s: %s: %s", name, type(odd).__name__, logs.trace(odd))
            level, message, hint = "fail", f"no answer that is understood: {odd!r}", look
        self.note(Outcome(group, name, level, message, hint, round(time.monotonic() - began, 1)))
        return level == "ok"

    def note(self, outcome: Outcome) -> None:
        outcome = replace(outcome, message=one_line(outcome.message, _MESSAGE))
        self.outcomes.append(outcome)
        self.tell(outcome)
