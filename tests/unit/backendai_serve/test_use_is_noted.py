"""With upstream's own worker: a session is in use as long as a websocket of an app is open, and no longer."""

from __future__ import annotations

import json

from upstream import COUNTERS, Upstream

# An app that says nothing by its websocket, and a worker that gives up what it takes for unused in no time.
OPEN = (
    COUNTERS
    + """
import asyncio, json, uuid
from types import SimpleNamespace
import aiohttp
from aiohttp import web
from ai.backend.appproxy.common.types import ProxyProtocol, RouteInfo
from ai.backend.appproxy.worker.proxy.backend.http import HTTPBackend

async def serve(handler):
    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return site._server.sockets[0].getsockname()[1]

async def silent(request):
    said = web.WebSocketResponse()
    await said.prepare(request)
    async for _ in said:
        pass
    return said

async def main():
    notes = asyncio.Queue()
    pool = SimpleNamespace(client_pool_cleanup_interval=0.5, client_pool_keep_inflight_sessions=KEPT)
    context = SimpleNamespace(
        local_config=SimpleNamespace(proxy_worker=pool), metrics=Counters(),
        last_used_time_marker_redis_queue=notes, request_counter_redis_queue=asyncio.Queue(),
    )
    route = RouteInfo(
        route_id=None, session_id=uuid.uuid4(), session_name=None, kernel_host="127.0.0.1",
        kernel_port=await serve(silent), protocol=ProxyProtocol.HTTP, traffic_ratio=1.0,
    )
    backend = HTTPBackend([route], context, SimpleNamespace(id=uuid.uuid4(), app="ttyd"))
    port = await serve(backend.proxy_ws)
    async with aiohttp.ClientSession() as client:
        async with client.ws_connect(f"http://127.0.0.1:{port}/ws") as opened:
            try:
                still = await opened.receive(4) is None
            except TimeoutError:
                still = True
            begun, (keys, _) = notes.qsize(), notes.get_nowait()
        await asyncio.sleep(0.5)
        left = notes.qsize()
        await asyncio.sleep(2)
    of_session = f"session.{route.session_id}.last_access" in keys
    print(json.dumps([still, begun > 2, of_session, notes.qsize() == left]), flush=True)
    import os
    os._exit(0)  # the worker's own tasks go on

asyncio.run(main())
"""
)


def found(upstream: Upstream, *, kept: bool = True, changed: bool = True) -> list[bool]:
    """Whether it stays open, is noted every 1.5 s, as the session's use, and no more once it is closed."""
    said = upstream.run(f"KEPT = {kept}\n{OPEN}", changed=changed)
    told: list[bool] = json.loads(said.splitlines()[-1])
    return told


def test_an_open_websocket_is_use(upstream: Upstream) -> None:
    assert found(upstream) == [True, True, True, True]


def test_upstream_goes_on_when_everybody_left(upstream: Upstream) -> None:
    """Once it does not, the change can go."""
    assert found(upstream, changed=False) == [True, True, True, False]


def test_the_setting_is_needed(upstream: Upstream) -> None:
    """Upstream's default cuts a terminal off in which nothing happens for a minute or two."""
    assert found(upstream, kept=False)[:2] == [False, False]
