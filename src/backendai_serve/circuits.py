"""Ends the ways to the apps of a session with that session.

Upstream leaves a circuit for an hour after its last use, and never takes back a token, which gets its owner
more of them. By then the node may have given the port of the app to another session, and whoever kept the
address, or the token, would be led into that one.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, TypeVar

from backendai_serve.patches import part

ENDED = {"TERMINATING", "TERMINATED", "CANCELLED", "ERROR"}
T = TypeVar("T")


def end_with_sessions(module: ModuleType) -> None:
    """Have the coordinator listen to what the manager tells of sessions."""
    collecting = part(module, "unused_port_collection_ctx")

    @functools.wraps(collecting)
    @asynccontextmanager
    async def listening(root: Any) -> AsyncIterator[None]:
        from ai.backend.common.events.event_types.session.broadcast import (  # type: ignore[import-not-found]
            SchedulingBroadcastEvent,
        )

        async def end(_context: object, _source: object, event: Any) -> None:
            if str(event.status_transition).upper() in ENDED:
                await _remove(module, root, event.session_id)

        told = root.core_event_dispatcher.subscribe(SchedulingBroadcastEvent, None, end)
        try:
            # Nobody knows which sessions ended while nobody listened; who opens an app asks for a new one.
            await _change(module, root, _forget_tokens)
            async with collecting(root):
                yield
        finally:
            root.core_event_dispatcher.unsubscribe(told)

    module.unused_port_collection_ctx = listening  # type: ignore[attr-defined]


async def _remove(module: Any, root: Any, session: Any) -> None:
    """Both the rows and what workers have of them; those of model services are the manager's own."""
    circuit = module.Circuit

    async def delete(db: Any) -> list[Any]:
        rows = [one for one in await circuit.list_circuits(db) if session in one.session_ids]
        rows = [one for one in rows if one.app_mode != module.AppMode.INFERENCE]
        await _forget_tokens(db, session)
        for row in rows:
            (await module.Worker.get(db, row.worker)).occupied_slots -= 1
            await db.delete(row)
        return rows

    if gone := await _change(module, root, delete):
        await root.circuit_manager.unload_circuits(gone)


async def _forget_tokens(db: Any, session: Any = None) -> None:
    """Those of a session; without one, all."""
    import sqlalchemy as sa  # type: ignore[import-not-found]
    from ai.backend.appproxy.coordinator.models import (  # type: ignore[import-not-found]
        Token,
    )

    of_it = [] if session is None else [Token.session_id == session]
    await db.execute(sa.delete(Token).where(*of_it))


async def _change(module: Any, root: Any, change: Callable[[Any], Awaitable[T]]) -> T:
    """What a change of the database gives; it is tried again where others are at it."""
    async with root.db.connect() as connection:
        result: T = await module.execute_with_txn_retry(change, root.db.begin_session, connection)
    return result
