"""Has a session's last use be known for as long as the session may go unused.

Upstream notes it in Valkey for a day, two where an app was used, and spares a session without a note: one
that may go unused for two days never ended, nor one whose note Valkey lost.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from backendai_serve.patches import part

CHECKS = "ai.backend.manager.idle"
KEPT = 30 * 86400  # seconds from each check, of which there are four a minute
COMPUTES = (
    b"0"  # instead of a time, while a query runs; kept for a day, for its client may have left
)


def keep_notes(module: ModuleType) -> None:
    """Whoever checks a session keeps its note, and makes one that is not there."""
    checker = part(module, "NetworkTimeoutIdleChecker")
    check = part(checker, "check_idleness")

    @functools.wraps(check)
    async def kept(self: Any, kernel: Any, *given: Any, **named: Any) -> bool:
        live, session = self._redis_live, kernel.session_id
        note = f"session.{session}.last_access"
        said = await live.get_live_data(note)
        if said is None:
            await live.update_session_last_access(session)
        elif said != COMPUTES:
            async with live._client.client() as connection:
                await connection.expire(note, KEPT)
        spared: bool = await check(self, kernel, *given, **named)
        return spared

    checker.check_idleness = kept


EXECUTED = {CHECKS: keep_notes}
