"""Has a service look when it is asked how it is.

Upstream's probe looks at what a service needs once a minute, and answers with what it saw then: a
server that came back counts as lost for up to a minute, one that went away as well. Here an answer older
than FRESH is renewed first. Whoever asks waits for that at most PATIENCE: a server that hangs must
not make the service that uses it look dead. The next one to ask is told.
"""

from __future__ import annotations

import asyncio
import functools
import time
from typing import Any

from backendai_serve.patches import part

FRESH = 1.0  # seconds
PATIENCE = 1.0  # seconds; `backendai-ctl status` gives a service 1.5 in all
_ANSWERS = ("get_connectivity_status", "get_liveness_status", "get_readiness_status")


def keep_fresh(module: Any) -> None:
    """Have the probes of the module look anew before they answer."""
    probe = part(module, "HealthProbe")
    probe.check_all = _noting(part(probe, "check_all"))
    for name in _ANSWERS:
        setattr(probe, name, _renewing(part(probe, name)))


def _noting(check_all: Any) -> Any:
    """Notes when the last look ended; one of the probe's own loop counts as well."""

    @functools.wraps(check_all)
    async def looked(self: Any) -> Any:
        found = await check_all(self)
        self._looked = time.monotonic()
        return found

    return looked


def _renewing(answer: Any) -> Any:
    @functools.wraps(answer)
    async def renewed(self: Any) -> Any:
        if time.monotonic() - getattr(self, "_looked", float("-inf")) > FRESH:
            # One look for all who ask; it goes on when they have stopped waiting.
            look = getattr(self, "_look", None)
            if look is None or look.done():
                look = self._look = asyncio.ensure_future(self.check_all())
            await asyncio.wait([look], timeout=PATIENCE)
        return await answer(self)

    return renewed


EXECUTED = {"ai.backend.common.health_checker.probe": keep_fresh}
