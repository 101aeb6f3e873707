"""Has services log in to etcd again when it no longer takes the token of their first login.

Upstream logs in once, when a service starts. etcd refuses every token that it gave before its users or
roles changed, as they do when a node joins, and those that are too old; each request would fail from
then on until the service is restarted, and a watch would wait for ever without an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from types import ModuleType
from typing import Any

from backendai_serve.patches import part

ETCD = "ai.backend.common.etcd"
UNAUTHENTICATED = 16  # gRPC's number; etcd: "invalid auth token"
CHANGED = "revision of auth store is old"


def refused(error: Exception) -> bool:
    """Whether etcd does not take a token, by what its client raises."""
    told = error.args[0]
    return told["code"] == UNAUTHENTICATED or CHANGED in str(told.get("message"))


def log_in_again(module: ModuleType) -> None:
    kind = part(module, "AsyncEtcd")
    failure: type[Exception] = part(module, "GRPCStatusError")
    request, watch = part(kind, "_request"), part(kind, "_watch_impl")

    async def requested(
        self: Any, ask: Callable[[Any], Awaitable[Any]], *, conditional: bool = False
    ) -> Any:
        """What was refused has not been done, so it may be asked again whatever it is."""
        used = self._communicator
        try:
            return await request(self, ask, conditional=conditional)
        except failure as error:
            # Without one that is kept each request logs in by itself.
            if used is None or not refused(error):
                raise
        if self._communicator is used:  # no other request was faster
            # The old connection is left to its watches, which go on.
            await self.open()
        return await request(self, ask, conditional=conditional)

    async def watched(self: Any, *words: Any, **named: Any) -> AsyncIterator[Any]:
        with suppress(failure):  # the watch itself says what else is wrong
            await self.ping()
        async with aclosing(watch(self, *words, **named)) as events:
            async for event in events:
                yield event

    kind._request, kind._watch_impl = requested, watched


EXECUTED = {ETCD: log_in_again}
