"""The coordinator's and the worker's own applications, as the lock has them."""

from __future__ import annotations

import json
import subprocess

import pytest
from upstream import Upstream

# Peers beyond loopback are on the second address of a network namespace of the test.
SERVE = """
import asyncio, contextlib, json
from datetime import UTC, datetime
from types import SimpleNamespace
import aiohttp, aiohttp_cors
from aiohttp import web
OUTSIDE = "10.255.255.1"

NUMBER = "00000000-0000-0000-0000-000000000001"
SESSION = {"id": NUMBER, "user_uuid": NUMBER, "group_id": NUMBER, "access_key": "AKIA", "domain_name": "x"}
WISH = {"login_session_token": None, "kernel_host": "127.0.0.1", "kernel_port": 22, "session": SESSION}

class Anything:
    def __getattr__(self, name):
        return self
    def __call__(self, *words, **named):
        return self

class Probe:
    async def status(self):
        from ai.backend.common.dto.internal.health import ConnectivityCheckResponse
        now = datetime.now(UTC)
        return ConnectivityCheckResponse(overall_healthy=True, connectivity_checks=[], timestamp=now)
    get_connectivity_status = get_liveness_status = get_readiness_status = status

async def coordinator():
    from ai.backend.appproxy.coordinator import server
    config = SimpleNamespace(
        proxy_coordinator=SimpleNamespace(
            allow_unauthorized_configure_request=False, advertise_base_url="http://x",
            metric_access_allowed_hosts="127.0.0.1/32",
        ),
        secrets=SimpleNamespace(api_secret="of-the-coordinator"), debug=SimpleNamespace(enabled=False),
        otel=SimpleNamespace(enabled=False),
    )
    return server.build_root_app(0, config, cleanup_contexts=[], subapp_pkgs=server.global_subapp_pkgs)

async def worker():
    from ai.backend.appproxy.worker import server
    config = SimpleNamespace(
        proxy_worker=SimpleNamespace(
            frontend_mode="port", protocol="http", authority="w", metric_access_allowed_hosts="127.0.0.1/32",
            port_proxy=SimpleNamespace(bind_port_range=(1, 2)),
        ),
        secrets=SimpleNamespace(api_secret="of-the-coordinator"), debug=SimpleNamespace(enabled=False),
        otel=SimpleNamespace(enabled=False),
    )
    app = server.build_root_app(0, config, cleanup_contexts=[], subapp_pkgs=server.global_subapp_pkgs)
    app["_root.context"].proxy_frontend = SimpleNamespace(circuits={})
    return app

@contextlib.asynccontextmanager
async def session():
    yield Anything()

async def main(make):
    app = await make()
    app["_root.context"].health_probe = Probe()
    app["_root.context"].metrics = Anything()
    app["_root.context"].metrics.to_prometheus = lambda: "figures"
    app["_root.context"].event_dispatcher = Anything()
    if make is coordinator:
        app["_root.context"].db = SimpleNamespace(begin_session=session)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 8000).start()
    every = [r.canonical for one in (app, *app._subapps) for r in one.router.resources()]
    routes = sorted({route for route in every if "{" not in route})
    token = {"X-BackendAI-Token": "of-the-coordinator"}
    wrong = {"X-BackendAI-Token": "x", "X-Forwarded-For": "127.0.0.1"}
    found = {}
    ways = {"loopback": ("127.0.0.1", None, {}), "here": (OUTSIDE, OUTSIDE, {}),
            "outside": ("127.0.0.1", OUTSIDE, {}), "wrong": ("127.0.0.1", OUTSIDE, wrong),
            "token": ("127.0.0.1", OUTSIDE, token)}
    for route in routes:
        found[route] = {}
        for way, (to, by, headers) in ways.items():
            connector = aiohttp.TCPConnector(local_addr=(by, 0) if by else None, force_close=True)
            async with aiohttp.ClientSession(connector=connector) as client:
                method = "POST" if route == "/v2/conf" else "GET"
                async with client.request(method, f"http://{to}:8000{route}", headers=headers,
                                          json=WISH if method == "POST" else None) as answer:
                    found[route][way] = answer.status
    print(json.dumps(found))

"""


def ask(upstream: Upstream, which: str, *, changed: bool = True) -> dict[str, dict[str, int]]:
    program = SERVE + f"asyncio.run(main({which}))\n"
    said = upstream.run(program, changed=changed, address="10.255.255.1/32")
    found: dict[str, dict[str, int]] = json.loads(said.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def namespaces() -> None:
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this machine lets nobody make a network namespace")


STATE = {
    "coordinator": ["/status", "/health", "/health/livez", "/health/readyz"],
    "worker": [
        "/",
        "/livez",
        "/readyz",
        "/status",
        "/health",
        "/health/livez",
        "/health/readyz",
        "/health/status",
    ],
}


@pytest.mark.parametrize("which", STATE)
@pytest.mark.usefixtures("namespaces")
def test_only_this_host_and_the_token_are_answered(upstream: Upstream, which: str) -> None:
    found = ask(upstream, which)
    for route in STATE[which]:
        assert found[route] == {
            "loopback": 200,
            "here": 200,
            "outside": 403,
            "wrong": 403,
            "token": 200,
        }, route
    # No route without a token of its own is left that answers users' networks about the site.
    open_: set[str] = {route for route, by in found.items() if by["outside"] < 400}
    assert not open_
    assert found["/metrics"]["outside"] == 403 and found["/metrics"]["loopback"] == 200


@pytest.mark.usefixtures("namespaces")
def test_nobody_without_the_token_is_given_a_way_to_an_app(upstream: Upstream) -> None:
    found = ask(upstream, "coordinator")["/v2/conf"]
    assert {found[way] for way in ("loopback", "here", "outside", "wrong")} == {401}
    assert found["token"] == 200


@pytest.mark.usefixtures("namespaces")
def test_upstream_alone_answers_everybody(upstream: Upstream) -> None:
    """What the other tests show is ours."""
    assert ask(upstream, "coordinator", changed=False)["/status"]["outside"] == 200
