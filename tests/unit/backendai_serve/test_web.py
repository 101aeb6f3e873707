"""The web server's own application, as the lock has it, with the settings that a site has."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from upstream import ROOT, Upstream

TEMPLATE = ROOT / "packaging/components/webserver/webserver.conf.j2"
SERVE = """
import asyncio, json, socket, ssl, tomllib
from types import SimpleNamespace
import aiohttp
from aiohttp import web
from yarl import URL
from ai.backend.web import server
from ai.backend.web.config.unified import SecurityConfig

async def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    security = SecurityConfig.model_validate(tomllib.loads(SECURITY)["security"])
    security.cookie_secure = TLS
    service = SimpleNamespace(
        ssl_enabled=TLS, ssl_cert=FOLDER + "/crt", ssl_privkey=FOLDER + "/key", ip="127.0.0.1", port=port,
        mode=server.ServiceMode.WEBUI, static_path=__import__("pathlib").Path(FOLDER),
    )
    config = SimpleNamespace(
        service=service, security=security, pipeline=SimpleNamespace(endpoint="http://127.0.0.1:1"),
        apollo_router=SimpleNamespace(enabled=False),
    )
    app = web.Application(middlewares=[server.security_policy_middleware])
    app["config"], app["manager_pool"], app["stats"] = config, None, SimpleNamespace()

    async def passed_on(request):  # as answers of the manager are
        answer = web.StreamResponse(headers={"Access-Control-Allow-Origin": "*"})
        await answer.prepare(request)
        await answer.write(b"x")
        return answer

    async def plain(request):
        return web.json_response({})

    app.router.add_route("*", "/stream", passed_on)
    app.router.add_route("*", "/func/saml/acs", plain)
    asked = {}
    # Handlers behind the routes are not what is asked for.
    server.webserver_healthcheck = plain
    server.login_handler = plain
    async with server.webapp_ctx(config, app):
        address = f"127.0.0.1:{port}"
        base = ("https" if TLS else "http") + f"://127.0.0.1:{port}"
        evil = {"Origin": "https://evil.example"}
        preflight = {**evil, "Access-Control-Request-Method": "POST"}
        for name, method, path, headers in (
            ("page", "GET", "/func/ping", {}),
            ("read by another", "GET", "/func/ping", evil),
            ("asked by another", "OPTIONS", "/server/login", preflight),
            ("streamed", "GET", "/stream", evil),
            ("login", "POST", "/server/login", {"Sec-Fetch-Site": "same-origin", "Origin": base}),
            ("client", "POST", "/server/login", {}),
            ("app of a session", "POST", "/server/login", {"Sec-Fetch-Site": "same-site"}),
            ("another site", "POST", "/server/login", {"Sec-Fetch-Site": "cross-site"}),
            ("link", "GET", "/func/ping", {"Sec-Fetch-Site": "cross-site"}),
            ("websocket", "GET", "/func/ping", {"Sec-Fetch-Site": "same-site", "Upgrade": "websocket"}),
            ("sign-on", "POST", "/func/saml/acs", {"Sec-Fetch-Site": "cross-site"}),
            *(
                (f"detour {path} {headers}", "POST", path, headers)
                for path in (
                    "/func/saml%2f..%2fadmin/graphql", "/func/saml/..%2fadmin/graphql",
                    "/func/saml/%2e%2e/admin/graphql", "/func/saml/../admin/graphql",
                    "/func/saml%2f.%2e%2fadmin/graphql", "/func/saml/..%5cadmin/graphql",
                )
                for headers in ({"Sec-Fetch-Site": "same-site"}, {})
            ),
            ("not quite sign-on", "POST", "/func/saml%2fadmin", {"Sec-Fetch-Site": "same-site"}),
            ("own page, unsaid", "POST", "/server/login", {"Origin": base}),
            ("behind a proxy that ends TLS", "POST", "/server/login", {"Origin": f"https://{address}"}),
            ("behind a proxy", "POST", "/server/login",
                {"Origin": "https://Outside.example:8", "X-Forwarded-Host": "outside.example:8"}),
            ("another, unsaid", "POST", "/server/login", evil),
            ("another port, unsaid", "POST", "/server/login", {"Origin": "http://127.0.0.1:1"}),
            ("of nowhere", "POST", "/server/login", {"Origin": "null"}),
            ("websocket, unsaid", "GET", "/func/ping", {**evil, "Upgrade": "websocket"}),
            ("sign-on, unsaid", "POST", "/func/saml/acs", evil),
            ("localhost", "GET", "/func/ping", {"Host": f"localhost:{port}"}),
            ("unsafe file", "GET", "/func/.git", {}),
        ):
            async with aiohttp.ClientSession() as client:
                url = URL(base + path, encoded=True)
                async with client.request(method, url, headers=headers, ssl=False) as answer:
                    asked[name] = [answer.status, {k.lower(): v for k, v in answer.headers.items()}]
    made = server.RedisStorage(None, max_age=1, secure=TLS)
    response = web.Response()
    made.save_cookie(response, "x", max_age=1)
    print(json.dumps({"asked": asked, "cookie": response.cookies.output(header="").strip()}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and a page."""
    made = tmp_path_factory.mktemp("web")
    (made / "index.html").write_text("<html></html>")
    call = (
        f"openssl req -x509 -newkey ed25519 -nodes -keyout {made}/key -out {made}/crt -subj /CN=x"
    )
    subprocess.run(call.split(), check=True, capture_output=True)
    return made


def serve(upstream: Upstream, folder: Path, *, tls: bool, changed: bool = True) -> dict[str, Any]:
    """What the web server answers with the section [security] that sites are given."""
    text = TEMPLATE.read_text("utf-8")
    section = re.sub(
        r"\{\{.*?\}\}", "true", text[text.index("[security]") : text.index("[logging]")]
    )
    names = f"SECURITY, TLS, FOLDER = {section!r}, {tls}, {str(folder)!r}\n"
    said = upstream.run(names + SERVE, changed=changed).splitlines()[-1]
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.fixture(scope="module")
def encrypted(upstream: Upstream, folder: Path) -> dict[str, Any]:
    return serve(upstream, folder, tls=True)


def test_pages_of_other_origins_read_nothing(encrypted: dict[str, Any]) -> None:
    for name in ("read by another", "asked by another", "streamed"):
        headers = encrypted["asked"][name][1]
        assert not [h for h in headers if h.startswith("access-control-")], name
    assert encrypted["asked"]["asked by another"][0] == 403


def test_pages_of_other_origins_change_nothing(encrypted: dict[str, Any]) -> None:
    said = {name: answer[0] for name, answer in encrypted["asked"].items()}
    for name in (
        "app of a session",
        "another site",
        "websocket",
        "unsafe file",
        "not quite sign-on",
    ):
        assert said[name] == 403, name
    for name in ("page", "login", "client", "link", "sign-on", "streamed"):
        assert said[name] == 200, name


def test_no_path_leads_out_of_its_folder(encrypted: dict[str, Any]) -> None:
    said = [a[0] for name, a in encrypted["asked"].items() if name.startswith("detour")]
    assert len(said) == 12 and set(said) == {400}


@pytest.mark.parametrize("tls", [True, False])
def test_a_browser_that_says_no_more_is_known_by_its_page(
    upstream: Upstream, folder: Path, tls: bool
) -> None:
    asked = serve(upstream, folder, tls=tls)["asked"]
    said = {name: answer[0] for name, answer in asked.items()}
    for name in ("another, unsaid", "another port, unsaid", "of nowhere", "websocket, unsaid"):
        assert said[name] == 403, name
    for name in (
        "own page, unsaid",
        "behind a proxy that ends TLS",
        "behind a proxy",
        "sign-on, unsaid",
        "client",
    ):
        assert said[name] == 200, name


def test_every_answer_is_typed_framed_by_nobody_and_remembers_tls(
    encrypted: dict[str, Any],
) -> None:
    for name, (_, headers) in encrypted["asked"].items():
        assert headers["x-content-type-options"] == "nosniff", name
        assert headers["content-security-policy"] == "frame-ancestors 'none';", name
        remembered = headers.get("strict-transport-security", "")
        assert remembered == ("" if name == "localhost" else "max-age=2592000"), name


def test_the_sessions_cookie_stays_with_the_site(encrypted: dict[str, Any]) -> None:
    cookie = {part.strip().lower() for part in encrypted["cookie"].split(";")}
    assert {"samesite=lax", "secure", "httponly"} <= cookie


def test_a_site_without_tls_works_and_promises_none(upstream: Upstream, folder: Path) -> None:
    said = serve(upstream, folder, tls=False)
    for name, (_, headers) in said["asked"].items():
        assert "strict-transport-security" not in headers, name
        assert headers["x-content-type-options"] == "nosniff", name
    assert said["asked"]["login"][0] == said["asked"]["page"][0] == 200
    cookie = said["cookie"].lower()
    assert "samesite=lax" in cookie and "secure" not in cookie


def test_upstream_alone_shares_with_everybody(upstream: Upstream, folder: Path) -> None:
    """What the other tests show is ours."""
    said = serve(upstream, folder, tls=True, changed=False)
    headers = said["asked"]["read by another"][1]
    assert headers["access-control-allow-origin"] == "https://evil.example"
    assert said["asked"]["app of a session"][0] == 200 and "samesite" not in said["cookie"].lower()
