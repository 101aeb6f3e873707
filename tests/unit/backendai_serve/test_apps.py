"""The worker's own port of an app, with a real server behind it, as the lock has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from upstream import COUNTERS, Upstream

from backendai_serve.apps import without_cookies

SITE = "AIOHTTP_SESSION=login; appproxy_permit=permit; sToken=token"
ANSWERS = [  # what an app sends back as Set-Cookie
    "mine=1; Path=/",
    "AIOHTTP_SESSION=evil; Path=/; Domain=site.example",
    "aiohttp_session=evil",
    " AIOHTTP_SESSION =evil; Path=/deep",
    "=AIOHTTP_SESSION=evil",
    "AIOHTTP_SESSION",
    "appproxy_permit=evil; Domain=.site.example",
    "sToken=evil; Max-Age=1",
    "AIOHTTP_SESSION_OTHER=2; domain=.site.example; Secure",
]
PROXY = (
    COUNTERS
    + """
import asyncio, json, socket, uuid
from types import SimpleNamespace
import aiohttp
from aiohttp import web
from ai.backend.appproxy.common.types import ProxyProtocol, RouteInfo
from ai.backend.appproxy.worker.proxy.frontend.http.port import PortFrontend
from ai.backend.appproxy.worker.types import InferenceAppInfo, InteractiveAppInfo, PortFrontendInfo

def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

async def app(request):
    if request.headers.get("Upgrade"):
        talk = web.WebSocketResponse(protocols=("one",))
        await talk.prepare(request)
        await talk.send_str(json.dumps(list(request.headers.items())))
        await talk.close()
        return talk
    answer = web.json_response(list(request.headers.items()))
    for cookie in ANSWERS:
        answer.headers.add("Set-Cookie", cookie)
    answer.headers["Strict-Transport-Security"] = "max-age=9"
    answer.headers["Clear-Site-Data"] = "*"
    answer.headers["X-BackendAI-SessionID"] = "evil"
    answer.headers["X-Mine"] = "yes"
    return answer

async def frontend(app_port, info, public):
    here = port()
    worker = SimpleNamespace(
        trusted_proxies=(), tls_listen=False, tls_advertised=False, client_pool_cleanup_interval=600,
        client_pool_keep_inflight_sessions=True,
        port_proxy=SimpleNamespace(bind_host="127.0.0.1", bind_port_range=(here, here)),
    )
    context = SimpleNamespace(
        local_config=SimpleNamespace(
            proxy_worker=worker, secrets=SimpleNamespace(jwt_secret="s" * 32),
            permit_hash=SimpleNamespace(secret=b"x", digest_mod="sha256"),
        ),
        metrics=Counters(), last_used_time_marker_redis_queue=asyncio.Queue(),
        request_counter_redis_queue=asyncio.Queue(),
    )
    made = PortFrontend(context)
    circuit = SimpleNamespace(
        id=uuid.uuid4(), app="jupyter", app_mode="x", open_to_public=public, app_info=info,
        frontend=PortFrontendInfo(here), protocol=ProxyProtocol.HTTP,
        ip_validator=SimpleNamespace(is_restricted=False),
    )
    route = RouteInfo(
        route_id=uuid.uuid4(), session_id=uuid.uuid4(), session_name=None, kernel_host="localhost",
        kernel_port=app_port, protocol=ProxyProtocol.HTTP, traffic_ratio=1.0,
    )
    await made.register_circuit(circuit, [route])
    await made.start()
    return here, circuit

async def ask(here, headers):
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        async with client.get(f"http://127.0.0.1:{here}/a", headers=headers) as answer:
            return {"status": answer.status, "seen": await answer.json(content_type=None),
                    "said": list(answer.headers.items())}

async def talk(here, headers):
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{here}/w"
        async with client.ws_connect(url, headers=headers, protocols=("one",)) as far:
            said = list(far._response.headers.items())
            return {"seen": json.loads((await far.receive()).data), "said": said}

async def main():
    app_port = port()
    served = web.Application()
    served.router.add_route("*", "/{path:.*}", app)
    runner = web.AppRunner(served)
    await runner.setup()
    await web.TCPSite(runner, "localhost", app_port).start()
    user = uuid.uuid4()
    shown = [("Cookie", SITE + "; mine=1"), ("X-BackendAI-SessionID", "login"), ("x-backendai-token", "t"),
             ("X-Mine", "yes")]
    open_, _ = await frontend(app_port, InteractiveAppInfo(user), True)
    model, circuit = await frontend(app_port, InferenceAppInfo(uuid.uuid4(), {}), False)
    free, _ = await frontend(app_port, InferenceAppInfo(uuid.uuid4(), {}), True)
    import jwt
    permit = jwt.encode({"id": str(circuit.id)}, "s" * 32)
    signed = "BackendAI signMethod=HMAC-SHA256, credential=AKIA:sig"
    print(json.dumps({
        "http": await ask(open_, [*shown, ("Authorization", "token of-jupyter")]),
        "signed": await ask(open_, [("Authorization", signed)]),
        "again": await ask(open_, []),
        "websocket": await talk(open_, shown),
        "model": await ask(model, [("Authorization", f"Bearer {permit}")]),
        "free model": await ask(free, [("Authorization", "Bearer of-the-app")]),
    }))

asyncio.run(main())
"""
)


@pytest.fixture(scope="module")
def said(upstream: Upstream) -> dict[str, Any]:
    return run(upstream, changed=True)


def run(upstream: Upstream, *, changed: bool) -> dict[str, Any]:
    text = f"SITE, ANSWERS = {SITE!r}, {ANSWERS!r}\n{PROXY}"
    found: dict[str, Any] = json.loads(upstream.run(text, changed=changed).splitlines()[-1])
    return found


def seen(answer: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in answer["seen"]}


def test_an_app_sees_no_login_of_the_site(said: dict[str, Any]) -> None:
    headers = seen(said["http"])
    assert headers["cookie"] == "mine=1" and headers["x-mine"] == "yes"
    assert not [name for name in headers if name.startswith("x-backendai-")]
    assert "authorization" not in seen(said["signed"])
    assert seen(said["http"])["authorization"] == "token of-jupyter"


def test_nor_by_a_websocket(said: dict[str, Any]) -> None:
    headers = seen(said["websocket"])
    assert headers["sec-websocket-protocol"] == "one"
    assert "cookie" not in headers
    assert not [name for name in headers if name.startswith("x-backendai-")]
    assert not [name for name, _ in said["websocket"]["said"] if name.lower() == "set-cookie"]


def test_an_app_cannot_speak_for_the_site(said: dict[str, Any]) -> None:
    answer = said["http"]["said"]
    cookies = [value for name, value in answer if name == "Set-Cookie"]
    assert cookies == ["mine=1; Path=/", "AIOHTTP_SESSION_OTHER=2; Secure"]
    names = {name.lower() for name, _ in answer}
    assert "x-mine" in names
    assert not names & {"strict-transport-security", "clear-site-data", "x-backendai-sessionid"}


def test_a_users_cookies_are_not_kept_for_the_next(said: dict[str, Any]) -> None:
    assert "cookie" not in seen(said["again"])


def test_authorization_of_a_model_is_its_own_where_the_site_asks_for_none(
    said: dict[str, Any],
) -> None:
    assert said["model"]["status"] == 200
    assert "authorization" not in seen(said["model"])
    assert seen(said["free model"])["authorization"] == "Bearer of-the-app"


def test_upstream_alone_passes_all_of_it_on(upstream: Upstream) -> None:
    """What the other tests show is ours."""
    plain = run(upstream, changed=False)
    assert SITE in seen(plain["http"])["cookie"]
    assert seen(plain["signed"])["authorization"].startswith("BackendAI")
    assert "evil" in str(plain["http"]["said"]) and "cookie" in seen(plain["again"])


@pytest.mark.parametrize(
    "sent, left",
    [
        ("a=1; b=2", "a=1; b=2"),
        ("AIOHTTP_SESSION=x", ""),
        ('a="; AIOHTTP_SESSION=x; b="', 'a="; b="'),  # two cookies of an app, around it
        (" AIOHTTP_SESSION = x ;a=1;", "a=1"),
        ("AIOHTTP_SESSION;a", "a"),
    ],
)
def test_only_the_sites_cookies_are_taken_away(sent: str, left: str) -> None:
    assert without_cookies(sent) == left
