"""Has browsers keep the web login to the site's own pages.

The web UI talks with the web server at its own origin alone. Upstream lets the pages of every other
origin read answers with the user's login. And pages of session apps have the site's host name: for
`SameSite` they are the site, so browsers are asked where a request comes from (Sec-Fetch-Site, which
they send over TLS), and where they do not say, which page asks (Origin). Whoever else speaks HTTP, the
client of the command line or a single sign-on without a browser, sends neither and is not concerned.
"""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from types import ModuleType, SimpleNamespace
from typing import Any

from backendai_serve import webui
from backendai_serve.cache import LOGINS
from backendai_serve.patches import exchanged, part

SERVER = "ai.backend.web.server"
SAFE = {"GET", "HEAD", "OPTIONS"}
# What identity providers have browsers post to, from pages of their own.
SIGN_ON = ("/func/saml/", "/func/openid/", "/func/custom-auth/")
REMEMBER_TLS = "max-age=2592000"  # seconds: 30 days


def foreign(request: Any) -> bool:
    """Whether the page of another origin has a browser act with the user's login."""
    headers = request.headers
    acts = request.method not in SAFE or "websocket" in headers.get("Upgrade", "").lower()
    if not acts or request.rel_url.raw_path.startswith(SIGN_ON):  # as the router reads it
        return False
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None:
        return site in ("same-site", "cross-site")
    return origin is not None and not _own(origin, headers)


def _own(origin: str, headers: Any) -> bool:
    """Whether a page has the name and port that it asks: a proxy of the site's may end TLS or tell them."""
    names = {headers.get(name, "").lower() for name in ("Host", "X-Forwarded-Host")}
    return origin.lower().partition("://")[2] in names - {""}


def astray(request: Any) -> bool:
    """Whether a path leads out of its folder: whom it is passed on to would resolve it anew."""
    return ".." in request.path.replace("\\", "/").split("/")


async def harden(request: Any, response: Any) -> None:
    """Before any answer goes out, one that is passed on from another service as well."""
    if "Content-Security-Policy" not in response.headers:  # one that has it may name its own nonce
        request.app["security_policy"].apply_response_policies(response)
    for name in [name for name in response.headers if name.lower().startswith("access-control-")]:
        response.headers.popall(name, None)
    # It holds for all ports of the name: that of the host itself belongs to others as well.
    if request.app["config"].service.ssl_enabled and request.url.host != "localhost":
        response.headers["Strict-Transport-Security"] = REMEMBER_TLS


def change(module: ModuleType) -> None:
    _same_site(module)
    _own_origin(module)
    _refuse(module)
    _harden(module)
    webui.close(module)


def _same_site(module: Any) -> None:
    """The session's cookie goes along with no request of another site."""
    module.RedisStorage = functools.partial(part(module, "RedisStorage"), samesite="Lax")


def _own_origin(module: Any) -> None:
    """Routes are shared with no other origin."""
    cors = part(module, "aiohttp_cors")
    setup = part(cors, "setup")
    module.aiohttp_cors = SimpleNamespace(
        ResourceOptions=part(cors, "ResourceOptions"),
        setup=lambda app, defaults: setup(app, defaults={}),
    )


def _refuse(module: Any) -> None:
    policies = part(module, "security_policy_middleware")

    @functools.wraps(policies)
    async def middleware(request: Any, handler: Any) -> Any:
        if astray(request):
            raise part(module, "web").HTTPBadRequest(reason="The path has a segment ..")
        if foreign(request):
            raise part(module, "web").HTTPForbidden(reason="A page of another origin asks")
        return await policies(request, handler)

    module.security_policy_middleware = middleware


def _harden(module: Any) -> None:
    serve = part(module, "webapp_ctx")

    @functools.wraps(serve)
    def webapp_ctx(config: Any, app: Any) -> AbstractAsyncContextManager[Any]:
        app.on_response_prepare.append(harden)
        made: AbstractAsyncContextManager[Any] = serve(config, app)
        return made

    module.webapp_ctx = webapp_ctx


def keep_logins_apart(text: str) -> str:
    """See backendai_serve.cache."""
    return exchanged(
        SERVER,
        text,
        "db_id=REDIS_STATISTICS_DB,  # Use default database for session storage",
        f"db_id={LOGINS},",
    )


SOURCES = {SERVER: keep_logins_apart}
EXECUTED = {SERVER: change}
