"""With upstream's own modules, as the lock has them: what nobody uses ends, also after more than a day."""

from __future__ import annotations

import json
from typing import Any

from upstream import Upstream

# Sessions that may go unused for two days, and what one check of each makes of its note in Valkey.
CHECK = """
import asyncio, contextlib, json, time
from types import SimpleNamespace
from ai.backend.manager.idle import IdleCheckerArgs, NetworkTimeoutIdleChecker

DAY = 86400
NOW = time.time()
POLICY = SimpleNamespace(idle_timeout=2 * DAY)

class Valkey:
    def __init__(self, note):
        self.notes, self.kept = {} if note is None else {"session.S.last_access": note}, 0

    @contextlib.asynccontextmanager
    async def client(self):
        yield self

    @property
    def _client(self):
        return self

    async def expire(self, key, seconds):
        self.kept = seconds if key in self.notes else 0

    async def get_live_data(self, key):
        return self.notes.get(key)

    async def store_live_data(self, key, value, **words):
        if key.endswith("last_access"):
            self.notes[key] = value

    async def update_session_last_access(self, session):
        self.notes[f"session.{session}.last_access"] = f"{NOW:.06f}".encode()

    async def get_server_time(self):
        return NOW

    async def count_active_connections(self, session):
        return 0

async def look(note, kind="interactive"):
    valkey = Valkey(note)
    checker = NetworkTimeoutIdleChecker(IdleCheckerArgs(None, valkey, None))
    await checker.populate_config({})
    kernel = SimpleNamespace(session_id="S", session_type=kind)
    goes_on = await checker.check_idleness(kernel, None, POLICY)
    return [goes_on, len(valkey.notes), valkey.kept > 2 * DAY]

async def main():
    notes = {"used": NOW - DAY, "unused": NOW - 3 * DAY}
    found = {name: await look(str(note).encode()) for name, note in notes.items()}
    found["batch"] = await look(str(NOW - 3 * DAY).encode(), "batch")
    found["computes"] = await look(b"0")
    found["unknown"] = await look(None)
    print(json.dumps(found))

asyncio.run(main())
"""


def found(upstream: Upstream, **words: bool) -> dict[str, Any]:
    """By session: whether it goes on, its notes, and whether they outlast the two days."""
    told: dict[str, Any] = json.loads(upstream.run(CHECK, **words))
    return told


def test_a_note_lasts_as_long_as_it_is_checked(upstream: Upstream) -> None:
    assert found(upstream) == {
        "used": [True, 1, True],
        "unused": [False, 1, True],
        "batch": [True, 1, True],
        "computes": [True, 1, False],
        "unknown": [True, 1, False],
    }


def test_upstream_loses_it(upstream: Upstream) -> None:
    """Once it does not, the change can go."""
    seen = found(upstream, changed=False)
    assert not any(kept for _, _, kept in seen.values())
    assert seen["unknown"] == [True, 0, False]
