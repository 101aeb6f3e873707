"""Keeps what the app proxy tells of itself from users' networks.

Coordinator and worker have one port each for users and for their state: versions, addresses of other
services, how many sessions there are. This host is answered, as its supervisor and `backendai-ctl
status` ask, and whoever shows the token of the coordinator, as the manager does. /metrics has a setting
of its own (`metric_access_allowed_hosts`).
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from types import ModuleType
from typing import Any

from backendai_serve.patches import part

TOKEN = "X-BackendAI-Token"
Handler = Callable[[Any], Awaitable[Any]]


def of_this_host(transport: Any) -> bool:
    """Whether the other end of a connection is on this host: at loopback, or where it is connected to."""
    ends = []
    for name in ("peername", "sockname"):
        end = transport.get_extra_info(name) if transport else None
        if not isinstance(end, tuple):
            return False
        address = ip_address(end[0].partition("%")[0])
        ends.append(getattr(address, "ipv4_mapped", None) or address)
    return bool(ends[0].is_loopback or ends[0] == ends[1])


def may_ask(request: Any) -> bool:
    """Whether an HTTP request comes from this host, or with the token of the app proxy."""
    if of_this_host(request.transport):
        return True
    wanted = request.app["_root.context"].local_config.secrets.api_secret
    return hmac.compare_digest(request.headers.get(TOKEN, "").encode(), str(wanted).encode())


def guarded(handler: Handler) -> Handler:
    """The handler, for those who may ask."""

    @functools.wraps(handler)
    async def asked(request: Any) -> Any:
        if not may_ask(request):
            from ai.backend.appproxy.common.errors import (  # type: ignore[import-not-found]
                GenericForbidden,
            )

            raise GenericForbidden
        return await handler(request)

    return asked


def guard(names: Iterable[str]) -> Callable[[ModuleType], None]:
    """What guards these handlers of a module, before it adds their routes."""

    def change(module: ModuleType) -> None:
        for name in names:
            setattr(module, name, guarded(part(module, name)))

    return change


EXECUTED = {
    "ai.backend.appproxy.coordinator.api.health": guard(["hello", "livez", "readyz"]),
    "ai.backend.appproxy.worker.server": guard(["hello", "livez", "readyz", "status"]),
    "ai.backend.appproxy.worker.api.health": guard(["hello", "livez", "readyz", "status"]),
}
