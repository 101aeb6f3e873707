"""What a browser does for a user of the web UI: signs in, asks, opens an app. Runs inside a host.

Standard input is JSON: `email`, `password`, `posts` ([path, body] each) and `app` (session, name and
port of an app of it, visited twice). Standard output too: `answers` ([status, body] each), and of the
app the `visits` and the `cookies` that the browser has afterwards.
"""

from __future__ import annotations

import json
import ssl
import sys
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

SITE = "https://localhost:8090"
TRUST = "/etc/backendai/tls/trust.crt"
TIMEOUT = 90  # seconds for one answer


class Browser:
    def __init__(self) -> None:
        self.jar = CookieJar()
        tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=TRUST))
        self._opener = urllib.request.build_opener(
            tls, urllib.request.HTTPCookieProcessor(self.jar)
        )

    def post(self, path: str, body: Any) -> list[Any]:
        """Status and answer, which is JSON."""
        kind = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{SITE}{path}", json.dumps(body).encode(), kind)
        try:
            with self._opener.open(asked, timeout=TIMEOUT) as answer:
                return [answer.status, json.load(answer)]
        except urllib.error.HTTPError as refused:
            return [refused.code, refused.read().decode("utf-8", "replace")]

    def json(self, url: str) -> Any:
        asked = urllib.request.Request(url, headers={"Accept": "application/json"})
        with self._opener.open(asked, timeout=TIMEOUT) as answer:
            return json.load(answer)

    def visit(self, url: str) -> tuple[str, str]:
        """Where it ended, without a query, and the text there."""
        with self._opener.open(url, timeout=TIMEOUT) as answer:
            return answer.geturl().partition("?")[0], answer.read().decode("utf-8", "replace")

    def open(self, session: str, name: str, port: int | None) -> list[list[Any]]:
        """The steps by which the web UI opens an app, then one more visit of its page."""
        words = {"app": name, "port": port, "login_session_token": None}
        status, started = self.post(f"/func/session/{session}/start-service", words)
        assert status == 200, started
        proxy, token = started["wsproxy_addr"].rstrip("/"), started["token"]
        query = f"app={name}&protocol=http"
        added = self.json(f"{proxy}/v2/proxy/{token}/{session}/add?{query}")
        where, text = self.visit(self.json(added["url"])["redirect_url"])
        return [[where, text], [*self.visit(where)]]


def main() -> None:
    order = json.load(sys.stdin)
    browser = Browser()
    login = {"username": order["email"], "password": order["password"]}
    status, said = browser.post("/server/login", login)
    assert status == 200 and said["authenticated"], said
    told: dict[str, Any] = {"answers": [browser.post(*post) for post in order.get("posts", [])]}
    if order.get("app"):
        before = {cookie.name: cookie.value for cookie in browser.jar}
        told["visits"] = browser.open(*order["app"])
        after = {cookie.name: cookie.value for cookie in browser.jar}
        told |= {"before": before, "cookies": after}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
