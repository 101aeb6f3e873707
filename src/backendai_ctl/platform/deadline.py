"""How long what is going on may take: set for a step, kept by everything in it that waits.

What waits asks `left` for its own timeout, and so ends, with its own words and after its own cleaning up,
before the engine's alarm has to end it.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHORTEST = 0.1  # seconds: no wait at all means another thing to sockets
_until: ContextVar[float | None] = ContextVar("until", default=None)


def left(timeout: float) -> float:
    """`timeout`, or the seconds that are left if those are fewer."""
    until = _until.get()
    return timeout if until is None else max(_SHORTEST, min(timeout, until - time.monotonic()))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block may take so long, and no longer than what it is in."""
    token = _until.set(time.monotonic() + left(seconds))
    try:
        yield
    finally:
        _until.reset(token)


@contextmanager
def anew(seconds: float) -> Iterator[None]:
    """The block may take so long whatever is left: what must be done although time is out.

    An alarm that was set waits until then, too.
    """
    before = signal.alarm(0)
    if before:
        signal.alarm(math.ceil(seconds) + before)
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)
        signal.alarm(before)
