"""What a browser does for a user of the web UI: signs in, asks, opens an app. Runs inside a host.

Standard input is JSON: `email`, `password`, `gets` (a path each), `posts` ([path, body] each), `app`
(session, name and port of an app of it, visited twice), `then` ([method, path, text] each, asked of the
app), `hold` (path and seconds: a websocket of the app that stays open for so long), `tcp` (session and
name of an app that is no HTTP) and the `domain` whose names all lead here. Standard output too: what it
`got`, `answers` ([status, body] each), of the app the `visits`, what was `asked` ([status, text] each)
and the `cookies` that the browser has afterwards, and the `port` that leads to the other one.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qs, urlsplit

SITE = "https://localhost:8090"
TRUST = "/etc/backendai/tls/trust.crt"
TIMEOUT = 90  # seconds for one answer
CLOSE = 0x88  # first byte of what ends a websocket


class Browser:
    def __init__(self) -> None:
        self.jar, self._trust = CookieJar(), ssl.create_default_context(cafile=TRUST)
        tls = urllib.request.HTTPSHandler(context=self._trust)
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

    def ask(self, app: str, method: str, path: str, text: str) -> list[Any]:
        """Status and text of what an app answers to its own page."""
        address = urllib.parse.urljoin(app, path)
        origin = {"Origin": urllib.parse.urljoin(app, "/").rstrip("/")}
        asked = urllib.request.Request(address, text.encode() or None, origin, method=method)
        try:
            with self._opener.open(asked, timeout=TIMEOUT) as answer:
                return [answer.status, answer.read().decode("utf-8", "replace")]
        except urllib.error.HTTPError as refused:
            return [refused.code, refused.read().decode("utf-8", "replace")]

    def hold(self, app: str, path: str, seconds: float) -> None:
        """Have the websocket of a terminal open, and type nothing."""
        address = urllib.parse.urljoin(app, path)
        asked = urllib.request.Request(address)
        self.jar.add_cookie_header(asked)
        place = urlsplit(address)
        assert place.hostname
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {place.netloc}",
            f"Origin: {place.scheme}://{place.netloc}",
            f"Cookie: {asked.get_header('Cookie', '')}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol: tty",
        ]
        with (
            socket.create_connection((place.hostname, place.port or 443), TIMEOUT) as plain,
            self._trust.wrap_socket(plain, server_hostname=place.hostname) as line,
        ):
            line.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = line.recv(4096)
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            size, no_mask = b'{"columns": 80, "rows": 24}', b"\0\0\0\0"
            line.sendall(b"\x82" + bytes([0x80 | len(size)]) + no_mask + size)
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                line.settimeout(left)
                with contextlib.suppress(TimeoutError):
                    said = line.recv(4096)
                    assert said and said[0] != CLOSE, said

    def way(self, session: str, name: str, port: int | None, protocol: str) -> str:
        """Where the steps lead by which the web UI opens an app."""
        words = {"app": name, "port": port, "login_session_token": None}
        status, started = self.post(f"/func/session/{session}/start-service", words)
        assert status == 200, started
        proxy, token = started["wsproxy_addr"].rstrip("/"), started["token"]
        query = f"app={name}&protocol={protocol}"
        added = self.json(f"{proxy}/v2/proxy/{token}/{session}/add?{query}")
        return str(self.json(added["url"])["redirect_url"])

    def open(self, session: str, name: str, port: int | None) -> list[list[Any]]:
        """Open an app, then visit its page once more."""
        where, text = self.visit(self.way(session, name, port, "http"))
        return [[where, text], [*self.visit(where)]]

    def port(self, session: str, name: str) -> int | None:
        """The port of the site that the web UI shows for an app by TCP."""
        told = str(self.json(self.way(session, name, None, "tcp"))["redirectURI"])
        return urlsplit(parse_qs(urlsplit(told).query)["gateway"][0]).port


def lead_here(domain: str) -> None:
    """All names in a domain are this host's, as by a wildcard of its name servers."""
    known = socket.getaddrinfo

    def answer(host: Any, *words: Any, **more: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith(f".{domain}") else host, *words, **more)

    socket.getaddrinfo = answer


def main() -> None:
    order = json.load(sys.stdin)
    if order.get("domain"):
        lead_here(order["domain"])
    browser = Browser()
    login = {"username": order["email"], "password": order["password"]}
    status, said = browser.post("/server/login", login)
    assert status == 200 and said["authenticated"], said
    told: dict[str, Any] = {"answers": [browser.post(*post) for post in order.get("posts", [])]}
    told["got"] = [browser.json(f"{SITE}{path}") for path in order.get("gets", [])]
    if order.get("app"):
        before = {cookie.name: cookie.value for cookie in browser.jar}
        told["visits"] = visits = browser.open(*order["app"])
        told["asked"] = [browser.ask(visits[0][0], *row) for row in order.get("then", [])]
        if order.get("hold"):
            browser.hold(visits[0][0], *order["hold"])
        after = {cookie.name: cookie.value for cookie in browser.jar}
        told |= {"before": before, "cookies": after}
    if order.get("tcp"):
        told["port"] = browser.port(*order["tcp"])
    print(json.dumps(told))


if __name__ == "__main__":
    main()
