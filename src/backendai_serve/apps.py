"""Keeps what belongs to the site from the apps of sessions, and apps from speaking for the site.

Apps have the host name of the web server, at other ports, and browsers send a cookie to every port of
its host. So requests reach an app without the cookies and headers by which the site knows its users,
and answers come back without those, and without headers that browsers hold for the whole host.
Websockets are opened to an app with none of the request's headers; here nothing is to be taken away.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Any

from backendai_serve.patches import exchanged, part

# The web server's session and its single sign-on (api.auth_token_name), and the app proxy's permit.
COOKIES = {"aiohttp_session", "stoken", "appproxy_permit"}
HEADERS = "x-backendai-"  # tokens, the session's number as the web UI sends it, dates of signatures
SCHEME = "backendai"  # of Authorization: requests signed with a user's key
# What browsers keep or do for all ports of a host.
OF_THE_HOST = {"strict-transport-security", "clear-site-data"}
HTTP = "ai.backend.appproxy.worker.proxy.backend.http"
FRONTEND = "ai.backend.appproxy.worker.proxy.frontend.http.base"


def without_cookies(value: str) -> str:
    """The value of a Cookie header, less what belongs to the site."""
    pairs = [pair.strip() for pair in value.split(";")]
    return "; ".join(pair for pair in pairs if pair and _cookie(pair) not in COOKIES)


def _cookie(pair: str) -> str:
    """The name in `NAME=VALUE`, in lower case; of a nameless one, what a server takes for its name."""
    return pair.strip().lstrip("= \t").split(";")[0].split("=")[0].strip().lower()


def for_the_app(
    headers: Iterable[tuple[str, str]], *, permitted: bool = False
) -> list[tuple[str, str]]:
    """Headers of a request, less what belongs to the site.

    Authorization is the app's own, unless it is a signature of Backend.AI or what let the request in
    here (`permitted`).
    """
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower == "cookie":
            value = without_cookies(value)
            if not value:
                continue
        elif lower.startswith(HEADERS) or (
            lower == "authorization"
            and (permitted or value.strip().partition(" ")[0].lower() == SCHEME)
        ):
            continue
        kept.append((name, value))
    return kept


def from_the_app(headers: Any) -> None:
    """Take out of the headers of an answer, a multidict, what only the site may say."""
    for name in {name for name in headers if _of_the_site(name)}:
        headers.popall(name)
    cookies = headers.popall("Set-Cookie", [])
    for value in cookies:
        if _cookie(value) not in COOKIES:
            headers.add("Set-Cookie", _of_one_host(value))


def _of_one_host(value: str) -> str:
    """A cookie that goes to the app's own host name and to none beside or above it."""
    first, *attributes = value.split(";")
    kept = [one for one in attributes if one.partition("=")[0].strip().lower() != "domain"]
    return ";".join([first, *kept])


def _of_the_site(name: str) -> bool:
    return name.lower() in OF_THE_HOST or name.lower().startswith(HEADERS)


def strip_requests(module: ModuleType) -> None:
    """HTTPBackend opens requests with the headers that are for the app."""
    backend = part(module, "HTTPBackend")
    request_http: Callable[..., AbstractAsyncContextManager[Any]] = part(backend, "request_http")

    @functools.wraps(request_http)
    def stripped(self: Any, route: Any, request: Any) -> AbstractAsyncContextManager[Any]:
        permitted = type(self.circuit.app_info).__name__ == "InferenceAppInfo"
        permitted = permitted and not self.circuit.open_to_public
        kept = for_the_app(request.headers.items(), permitted=permitted)
        request.headers = type(request.headers)(kept)
        return request_http(self, route, request)

    backend.request_http = stripped


def keep_no_cookies(text: str) -> str:
    """One user's cookies do not wait in the worker for the next user's request."""
    return exchanged(
        HTTP,
        text,
        "                auto_decompress=False,  # transparently pass the response body\n            ),",
        "                auto_decompress=False,\n"
        "                cookie_jar=aiohttp.DummyCookieJar(),\n            ),",
    )


def ending_together(text: str) -> str:
    """Each end of a websocket is closed with the other one: a session that somebody left is not in use."""
    waits = "                        await stop_event.wait()\n"
    closes = (
        "                        await asyncio.gather(downstream_ws.close(), upstream_ws.close())\n"
    )
    return exchanged(HTTP, text, waits, waits + closes)


def change_backend(text: str) -> str:
    return ending_together(keep_no_cookies(text))


def strip_answers(module: ModuleType) -> None:
    """Every answer at the port of an app passes here before it is sent."""
    frontend = part(module, "BaseHTTPFrontend")
    append = part(frontend, "append_cors_headers")

    @functools.wraps(append)
    async def stripped(self: Any, request: Any, response: Any) -> None:
        await append(self, request, response)
        from_the_app(response.headers)

    frontend.append_cors_headers = stripped


SOURCES = {HTTP: change_backend}
EXECUTED = {HTTP: strip_requests, FRONTEND: strip_answers}
