"""Has browsers keep the web login to the site's own pages.

The web UI talks with the web server at its own origin alone. Upstream lets the pages of every other
origin read answers with the user's login. And pages of session apps have the site's host name: for
`SameSite` they are the site, so browsers are asked where a request comes from (Sec-Fetch-Site, which
they send over TLS). Whoever else speaks HTTP, the client of the command line or a single sign-on
without a browser, sends no such header and is not concerned.
"""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from types import ModuleType, SimpleNamespace
from typing import Any

from backendai_serve.patches import part

SAFE = {"GET", "HEAD", "OPTIONS"}
# What identity providers have browsers post to, from pages of their own.
SIGN_ON = ("/func/saml/", "/func/openid/", "/func/custom-auth/")
REMEMBER_TLS = "max-age=2592000"  # seconds: 30 days


def foreign(request: Any) -> bool:
    """Whether the page of another origin has a browser act with the user's login."""
    acts = request.method not in SAFE or "websocket" in request.headers.get("Upgrade", "").lower()
    page = request.headers.get("Sec-Fetch-Site", "")
    return acts and page in ("same-site", "cross-site") and not request.path.startswith(SIGN_ON)


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


EXECUTED = {"ai.backend.web.server": change}
