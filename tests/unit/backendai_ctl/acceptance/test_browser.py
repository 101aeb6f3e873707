"""Promises of backendai_ctl.acceptance.browser: cookies are kept, refusals are told, tokens are not."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from backendai_ctl.acceptance import browser as module
from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.errors import Problem

PASSWORD = "right"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ODD = {  # what an app of a session may answer
    "/cut-off": _CHUNKED + b"ff\r\nabc",
    "/headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n",
    "/no-http": b"SSH-2.0-x\r\n",
    "/refused": _CHUNKED.replace(b"200", b"500") + b"ff\r\nabc",
    "/endless": _CHUNKED,
    "/away": b"HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\n\r\n",
    "/app": b"HTTP/1.1 302 Found\r\nLocation: http://one.apps.localhost:1/\r\n\r\n",
    "/near": b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n",
    "/there": b"HTTP/1.1 200 OK\r\n\r\nhere",
}


class Site(BaseHTTPRequestHandler):
    """Signs in who knows the password, with a cookie; GraphQL needs the cookie."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/server/login":
            fine = body["password"] == PASSWORD
            told = {"authenticated": fine, "data": {"details": "unknown account"}}
            self.tell(200 if fine else 401, told, "AIOHTTP_SESSION=abc; Path=/" if fine else "")
        elif self.path == "/func/admin/gql":
            fine = "AIOHTTP_SESSION=abc" in self.headers.get("Cookie", "")
            self.tell(200, {"data": {"x": 1}} if fine else {"errors": [{"message": "no"}]})
        else:
            self.tell(403, {"type": "x", "title": "Forbidden.", "msg": "not yours"})

    def do_GET(self) -> None:
        odd = ODD.get(self.path)
        if odd is None:
            return self.tell(502, "<html>bad gateway</html>")
        self.wfile.write(odd)
        with contextlib.suppress(OSError):
            while self.path == "/endless":
                self.wfile.write(b"1\r\nx\r\n")
                time.sleep(0.05)

    def tell(self, status: int, body: object, cookie: str = "") -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with HTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Browser(f"http://127.0.0.1:{server.server_port}", tmp_path / "none")
        server.shutdown()


def test_who_signed_in_is_known_afterwards(browser: Browser) -> None:
    with pytest.raises(Problem, match="no"):
        browser.query("query { x }")
    browser.sign_in("a@example.org", PASSWORD)
    assert browser.query("query { x }") == {"x": 1}


def test_a_refused_account_is_told_why(browser: Browser) -> None:
    with pytest.raises(Problem, match=r"a@example.org could not sign in: .*: unknown account"):
        browser.sign_in("a@example.org", "wrong")


def test_a_refusal_says_the_reason_and_no_token(browser: Browser) -> None:
    with pytest.raises(Problem, match=r"POST .*/func/folders: HTTP 403: not yours"):
        browser.ask("POST", "/func/folders", {})
    with pytest.raises(Problem, match="HTTP 502: <html>bad gateway") as refused:
        browser.send("GET", f"{browser.url}/download?token=hidden")
    assert "hidden" not in str(refused.value)


def test_a_site_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"GET http://127.0.0.1:1/: .*refused"):
        Browser("http://127.0.0.1:1", tmp_path / "none").send("GET", "http://127.0.0.1:1/")


def test_what_is_no_answer_is_a_problem(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    for path in ("cut-off", "headers", "no-http", "endless"):
        with pytest.raises(Problem, match=f"GET http://.*/{path}: "):
            browser.send("GET", f"{browser.url}/{path}")
    with pytest.raises(Problem, match="HTTP 500: no reason given"):
        browser.send("GET", f"{browser.url}/refused")


def test_an_app_sends_its_visitor_to_no_other_host(browser: Browser) -> None:
    assert browser.send("GET", f"{browser.url}/near") == (f"{browser.url}/there", b"here")
    with pytest.raises(Problem, match="/away: HTTP 302"):
        browser.send("GET", f"{browser.url}/away")


def test_where_apps_have_names_the_way_to_one_is_followed(browser: Browser, tmp_path: Path) -> None:
    named = Browser(browser.url, tmp_path / "none", "apps.localhost")
    with pytest.raises(Problem, match="/away: HTTP 302"):
        named.send("GET", f"{browser.url}/away")
    with pytest.raises(Problem, match=r"/app: .*(refused|not known|resolution)"):
        named.send("GET", f"{browser.url}/app")
