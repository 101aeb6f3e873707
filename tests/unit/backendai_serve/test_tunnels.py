"""The worker's own ports for TCP, with a real server behind them, as the lock has it."""

from __future__ import annotations

import json
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from upstream import COUNTERS, Upstream

from backendai_serve.tunnels import for_who_asks

PROXY = (
    COUNTERS
    + """
import asyncio, json, socket, uuid
from types import SimpleNamespace
import uvloop
from ai.backend.appproxy.common.types import ProxyProtocol, RouteInfo
from ai.backend.appproxy.worker.proxy.frontend.tcp import TCPFrontend
from ai.backend.appproxy.worker.types import PortFrontendInfo

TIMEOUT = 2  # seconds

def port(host):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return probe.getsockname()[1]

async def waited(what):
    try:
        return await asyncio.wait_for(what, TIMEOUT)
    except BaseException as error:
        return error

async def frontend(host, here, app_port):
    worker = SimpleNamespace(port_proxy=SimpleNamespace(bind_host=host, bind_port_range=(here, here)))
    made = TCPFrontend(SimpleNamespace(
        local_config=SimpleNamespace(proxy_worker=worker), metrics=Counters(),
        last_used_time_marker_redis_queue=asyncio.Queue(), request_counter_redis_queue=asyncio.Queue(),
    ))
    circuit = SimpleNamespace(
        id=uuid.uuid4(), app="sshd", app_mode="x", frontend=PortFrontendInfo(here),
        protocol=ProxyProtocol.TCP, ip_validator=SimpleNamespace(is_restricted=False),
    )
    route = RouteInfo(
        route_id=uuid.uuid4(), session_id=uuid.uuid4(), session_name=None, kernel_host=host,
        kernel_port=app_port, protocol=ProxyProtocol.TCP, traffic_ratio=1.0,
    )
    await made.register_circuit(circuit, [route])
    await made.start()
    return made, circuit, route

async def main(host):
    left, found = asyncio.Event(), {}

    async def app(reader, writer):
        while data := await reader.read(100):
            writer.write(data)
            if data == b"bye":
                break
        else:
            left.set()
        writer.close()

    async def talk(text):
        reader, writer = await asyncio.open_connection(host, here)
        writer.write(text)
        assert await waited(reader.read(100)) == text
        return reader, writer

    app_port, here = port(host), port(host)
    server = await asyncio.start_server(app, host, app_port)
    made, circuit, route = await frontend(host, here, app_port)
    _, writer = await talk(b"a")
    writer.close()
    found["the app is told"] = await waited(left.wait()) is True
    reader, _ = await talk(b"bye")
    found["the client is told"] = await waited(reader.read()) == b""
    reader, _ = await talk(b"b")
    await made.register_circuit(circuit, [route])
    looking = [task for task in asyncio.all_tasks() if "health_check" in task.get_name()]
    found["is looked at once"] = len(looking) == 1
    await made.break_circuit(circuit)
    found["ends with the circuit"] = await waited(reader.read()) == b""
    reader, _ = await asyncio.open_connection(host, here)
    found["nothing is behind"] = await waited(reader.read()) == b""
    found["stops"] = await waited(made.stop()) is None
    try:
        again, *_ = await frontend(host, here, app_port)
        found["starts again"] = True
        reader, _ = await talk(b"c")
        await again.terminate_all_circuits()
        found["stops in use"] = await waited(again.stop()) is None
    except OSError:
        found["starts again"] = False
    print(json.dumps(found), flush=True)
    import os
    os._exit(0)  # upstream's own tasks go on

uvloop.run(main(HOST))
"""
)


COORDINATOR = """
import asyncio, contextlib, json, time, uuid
from types import SimpleNamespace
import aiohttp
from aiohttp import web
from ai.backend.appproxy.common.types import AppMode, ProxyProtocol
from ai.backend.appproxy.coordinator import server
from ai.backend.appproxy.coordinator.api import proxy

given_up, ended, looked_for, forgotten, told = [], [], [], [], []
SESSION, USER = uuid.uuid4(), uuid.uuid4()

def answering(value):
    async def answer(*words, **named):
        return value
    return answer

class Database:
    @contextlib.asynccontextmanager
    async def connect(self):
        yield self
    begin_readonly_session = begin_session = connect
    delete = staticmethod(answering(None))

    async def execute(self, statement):
        forgotten.append(str(statement))

async def do(change, *words):
    return await change(Database())

def circuit(protocol, mode=AppMode.INTERACTIVE):
    return SimpleNamespace(
        id=uuid.uuid4(), protocol=protocol, app_mode=mode, worker=uuid.uuid4(), created_at=None,
        route_info=[], name=f"{protocol.value} {mode.value.lower()}", session_ids=[SESSION],
    )

async def unused(context):
    circuits = [circuit(ProxyProtocol.HTTP), circuit(ProxyProtocol.TCP),
                circuit(ProxyProtocol.HTTP, AppMode.INFERENCE), circuit(ProxyProtocol.TCP)]
    server.Circuit.list_circuits = answering(circuits)
    server.Worker.get = answering(SimpleNamespace(occupied_slots=9))
    server.execute_with_txn_retry = do
    long_ago, now = str(time.time() - 4000).encode(), str(time.time()).encode()
    async def last_access(keys):
        return [long_ago, long_ago, now][: len(keys)]

    context.valkey_live.get_multiple_live_data = last_access
    async with server.unused_port_collection_ctx(context):
        await handlers[0](None, None, None)
    ended.extend(forgotten)
    given_up.extend(left)
    left.clear()
    circuits[1].session_ids = [uuid.uuid4()]
    async with server.unused_port_collection_ctx(context):
        for kind, handler in sessions[-1:]:
            for status in ("RUNNING", "TERMINATED"):
                ended.append(status)
                forgotten.clear()
                words = {"creation_id": "c", "status_transition": status, "reason": ""}
                await handler(None, None, kind(session_id=SESSION, **words))
                ended.extend([*(one.split(" = ")[0] for one in forgotten), *left])

async def way(context, session, **query):
    app = web.Application()
    sub, _ = proxy.create_app({})
    sub["_root.context"] = context
    app.add_subapp("/v2/proxy", sub)
    token = SimpleNamespace(
        id=uuid.uuid4(), session_id=session, user_uuid=USER, group_id=uuid.uuid4(), access_key="A",
        domain_name="default", kernel_host="127.0.0.1", kernel_port=1,
    )
    proxy.Token.get = answering(token)
    proxy.Worker.get = answering(SimpleNamespace(api_endpoint="https://worker:10202"))

    async def find(sess, number, app, public, addresses):
        looked_for.append([app, addresses])
        return circuit(ProxyProtocol.TCP)

    proxy.Circuit.find = find
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    asked = {"token": str(token.id), "session_id": str(session), **query}
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{port}/v2/proxy/auth"
        async with client.get(url, params=asked, headers={"Accept": "application/json"}) as answer:
            told.append([answer.status, (await answer.json(content_type=None)).get("msg")])
    await runner.cleanup()

async def another(context, has, slots):
    "A user who has so many ports of a worker of so many asks for another one."
    others = [SimpleNamespace(user_id=user) for user in [USER] * has + [uuid.uuid4()] * 50]
    new = SimpleNamespace(id=uuid.uuid4(), user_id=USER)
    worker = SimpleNamespace(api_endpoint="https://w", available_slots=slots, circuits=[*others, new])
    proxy.add_circuit = answering((new, worker))
    proxy.execute_with_txn_retry = do
    await way(context, uuid.uuid4(), app="sshd", protocol="tcp", no_reuse="true")

async def main():
    async def unload(circuits):
        left.extend(one.name for one in circuits)

    context = SimpleNamespace(
        db=Database(), valkey_live=SimpleNamespace(),
        circuit_manager=SimpleNamespace(unload_circuits=unload, initialize_circuits=answering(None)),
        local_config=SimpleNamespace(
            proxy_coordinator=SimpleNamespace(unused_circuit_collection_timeout=3600),
            secrets=SimpleNamespace(jwt_secret="s" * 32),
        ),
        event_dispatcher=SimpleNamespace(
            consume=lambda kind, context, handler: handlers.append(handler), unconsume=lambda one: None,
        ),
        core_event_dispatcher=SimpleNamespace(
            subscribe=lambda kind, context, handler: sessions.append([kind, handler]),
            unsubscribe=lambda one: None,
        ),
    )
    await unused(context)
    for app, protocol in (("vnc", "vnc"), ("sshd", "tcp"), ("jupyterlab", "http")):
        await way(context, uuid.uuid4(), app=app, protocol=protocol)
    for has, slots in ((24, 100), (25, 100), (0, 3), (1, 3), (99, -1)):
        await another(context, has, slots)
    print(json.dumps({"given up": given_up, "ended": ended, "looked for": looked_for, "told": told}))

handlers, sessions, left = [], [], []
asyncio.run(main())
"""


class Protocol(StrEnum):
    HTTP = "http"
    TCP = "tcp"
    VNC = "vnc"


def run(upstream: Upstream, host: str, *, changed: bool) -> dict[str, bool]:
    found: dict[str, bool] = json.loads(
        upstream.run(f"HOST = {host!r}\n{PROXY}", changed=changed).splitlines()[-1]
    )
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_open_ends_with_either_end_and_with_the_circuit(
    upstream: Upstream, host: str
) -> None:
    found = run(upstream, host, changed=True)
    assert found and all(found.values()), found


def test_upstream_alone_ends_nothing(upstream: Upstream) -> None:
    """What the other test shows is ours."""
    found = run(upstream, "127.0.0.1", changed=False)
    assert not any(found[what] for what in found if what != "nothing is behind"), found


def asked(address: str | None = "192.0.2.7", **given: Any) -> Any:
    params = SimpleNamespace(
        app="vnc", protocol=Protocol.VNC, open_to_public=False, allowed_client_ips=None
    )
    vars(params).update(given)
    for_who_asks(params, address)
    return params.allowed_client_ips


def test_an_app_without_a_login_is_for_the_address_that_opened_it() -> None:
    assert asked() == asked(app="jupyterlab", protocol=Protocol.TCP) == "192.0.2.7"
    with pytest.raises(ValueError, match="nobody's address"):
        asked(None)


def test_others_are_as_they_were_asked_for() -> None:
    assert asked(app="sshd", protocol=Protocol.TCP) is None
    assert asked(app="jupyterlab", protocol=Protocol.HTTP) is None
    assert asked(open_to_public=True) is None
    assert asked(allowed_client_ips="198.51.100.0/24") == "198.51.100.0/24"


def test_the_coordinator_gives_up_what_nobody_uses_and_tells_who_asks(upstream: Upstream) -> None:
    found = json.loads(upstream.run(COORDINATOR).splitlines()[-1])
    assert found["given up"] == ["http interactive", "tcp interactive"]
    assert found["ended"] == [
        "DELETE FROM tokens",
        "RUNNING",
        "TERMINATED",
        "DELETE FROM tokens WHERE tokens.session_id",
        "http interactive",
        "tcp interactive",
    ]
    assert found["looked for"] == [["vnc", "127.0.0.1"], ["sshd", None], ["jupyterlab", None]]
    assert [status for status, _ in found["told"]] == [200, 200, 200, 200, 403, 200, 403, 200]
    assert found["told"][4][1].startswith(
        "You have 25 apps open, and no more than 25 ports are for"
    )
    plain = json.loads(upstream.run(COORDINATOR, changed=False).splitlines()[-1])
    assert plain["looked for"][0] == ["vnc", None]
    assert "tcp interactive" not in plain["given up"]
    assert plain["ended"] == []
    assert {status for status, _ in plain["told"]} == {200}
