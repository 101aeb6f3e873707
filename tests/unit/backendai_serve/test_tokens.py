"""The manager's own service and client, as the lock has them, with a coordinator that notes who asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from upstream import Upstream

START = """
import asyncio, contextlib, json, socket, uuid
from types import SimpleNamespace
from aiohttp import web
from ai.backend.manager.clients.appproxy.client import AppProxyClientPool
from ai.backend.manager.services.session.service import SessionService

asked, queries = [], []

async def coordinator(request):
    asked.append([request.method, request.path, request.headers.get("X-BackendAI-Token", "")])
    if request.path == "/status":
        return web.json_response({"api_version": "v2", "advertise_address": "https://outside:10200"})
    return web.json_response({"token": "a way"})

class Connection:
    async def scalar(self, query):
        queries.append(str(query.compile(compile_kwargs={"literal_binds": True})))
        return "of-the-group"

@contextlib.asynccontextmanager
async def begin_readonly():
    yield Connection()

def answering(value):
    async def answer(*words, **named):
        return value
    return answer

async def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", coordinator)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    number = uuid.uuid4()
    session = SimpleNamespace(
        id=number, name="s", resource_group_name="default", user_uuid=number, group_id=number,
        access_key="AKIA", domain_name="default",
    )
    info = SimpleNamespace(
        session=session, kernel_host="127.0.0.1", agent_addr="", agent_id="i-1", main_kernel_id=number,
        service_ports=[{"name": "jupyter", "is_inference": False, "host_ports": [30001]}],
    )
    service = SessionService.__new__(SessionService)
    service._session_repository = SimpleNamespace(
        get_session_with_routing_minimal=answering(info),
        get_resource_group_wsproxy_addr=answering(f"http://127.0.0.1:{port}"),
        _db_source=SimpleNamespace(_db=SimpleNamespace(begin_readonly=begin_readonly)),
    )
    service._appproxy_client_pool = AppProxyClientPool()
    service._agent_registry = SimpleNamespace(start_service=answering({"status": "started"}))
    service._rpc_ptask_group = SimpleNamespace(create_task=asyncio.ensure_future)
    action = SimpleNamespace(
        session_id=number, service="jupyter", port=None, arguments=None, envs=None, login_session_token=None,
        access_key="AKIA",
    )
    result = await service.start_service(action)
    print(json.dumps({"asked": asked, "queries": queries, "token": result.token, "at": result.wsproxy_addr}))

asyncio.run(main())
"""
ASKED = """
import asyncio, base64, contextlib, json, uuid
from importlib import import_module
from pkgutil import iter_modules
from types import SimpleNamespace
from ai.backend.manager import models
from ai.backend.manager.api.gql_legacy import schema
from ai.backend.manager.models.user import UserRole

for found in iter_modules(models.__path__):  # as the manager does, for the relations between them
    for name in (found.name, f"{found.name}.row"):
        with contextlib.suppress(ImportError):
            import_module(f"ai.backend.manager.models.{name}")
group = SimpleNamespace(
    name="default", description="", is_active=True, is_public=True, created_at=None,
    wsproxy_addr="https://site:10200", wsproxy_api_token="of-the-group", driver="static", driver_opts={},
    scheduler="fifo", scheduler_opts={}, use_host_network=False,
)
class Session:
    async def scalar(self, query):
        return group

class Database:
    @contextlib.asynccontextmanager
    async def begin_readonly_session(self):
        yield Session()

number = base64.b64encode(b"ScalingGroupNode:default").decode()
user = {"domain_name": "default", "uuid": uuid.uuid4(), "role": UserRole.USER}
query = (
    "query($it: _Any!) { _entities(representations: [$it]) {"
    " ... on ScalingGroupNode { wsproxy_addr wsproxy_api_token } } }"
)
result = asyncio.run(schema.graphene_schema.execute_async(
    query, variable_values={"it": {"__typename": "ScalingGroupNode", "id": number}},
    context_value=SimpleNamespace(db=Database(), user=user),
    middleware=[schema.GQLMutationPrivilegeCheckMiddleware(), schema.GQLExceptionMiddleware()],
))
assert not result.errors, result.errors
print(json.dumps(result.data))
"""
ROW = """
from ai.backend.manager.repositories.session.repository import SessionRepository
from ai.backend.manager.repositories.session.db_source.db_source import SessionDBSource
import inspect
assert "self._db_source = " in inspect.getsource(SessionRepository)
assert "self._db = " in inspect.getsource(SessionDBSource)
"""


def start(upstream: Upstream, *, changed: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(upstream.run(START, changed=changed).splitlines()[-1])
    return found


def test_the_manager_shows_its_token_wherever_it_asks(upstream: Upstream) -> None:
    said = start(upstream)
    assert said["asked"] == [
        ["GET", "/status", "of-the-group"],
        ["POST", "/v2/conf", "of-the-group"],
    ]
    (query,) = said["queries"]
    assert "wsproxy_api_token" in query and "'default'" in query
    assert said["token"] == "a way" and said["at"] == "https://outside:10200"


def test_upstream_alone_shows_none(upstream: Upstream) -> None:
    """What the other test shows is ours."""
    assert {token for _, _, token in start(upstream, changed=False)["asked"]} == {""}


@pytest.mark.parametrize("changed", [True, False])
def test_no_user_is_told_the_token(upstream: Upstream, changed: bool) -> None:
    """Upstream alone tells it to everybody."""
    answer = upstream.run(ASKED, changed=changed)
    assert "https://site:10200" in answer
    assert ("of-the-group" in answer) is not changed, answer


def test_the_repository_has_the_database_where_it_is_asked(upstream: Upstream) -> None:
    upstream.run(ROW)
