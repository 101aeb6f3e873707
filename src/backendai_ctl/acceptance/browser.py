"""What a browser does at the web UI of the site: signs in, asks, opens the pages of sessions' apps."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backendai_ctl.errors import Problem
from backendai_ctl.platform import deadline

TIMEOUT = 90.0  # seconds for one answer
MOST = 16 * 2**20  # bytes of an answer that are read
_PIECE = 2**16
_SHOWN = 300  # characters of a page that is no answer


class Refused(Problem):
    """An answer of the site that is an error; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows no way to another host, unless to an app: a session's app, which may answer, has none to name.

    `apps`: the domain in which apps have names, if they have.
    """

    def __init__(self, apps: str) -> None:
        self.apps = apps

    def redirect_request(self, req: Any, *given: Any) -> Any:
        there = urlsplit(given[-1]).hostname or ""
        app = self.apps and there.endswith(f".{self.apps}")
        if there != urlsplit(req.full_url).hostname and not app:
            return None  # it is told as what it is: HTTP 302
        return super().redirect_request(req, *given)


class Browser:
    """Keeps cookies as a browser does, and trusts the site's authority besides those of the host."""

    def __init__(self, url: str, trusted: Path, apps: str = "") -> None:
        self.url = url
        tls = ssl.create_default_context()
        if trusted.exists():
            tls.load_verify_locations(trusted)
        self._opener = urllib.request.build_opener(
            _Here(apps),
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )

    def sign_in(self, email: str, password: str) -> None:
        """Raises Refused, or another Problem if the site does not answer."""
        try:
            self.ask("POST", "/server/login", {"username": email, "password": password})
        except Refused as refused:
            said = f"{self.url}: {email} could not sign in: {refused.message}"
            raise Refused(said, refused.status) from None

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the web server answers, JSON: `path` below /func is the manager's. Raises Problem."""
        data = None if body is None else json.dumps(body).encode()
        _, content = self.send(
            method, f"{self.url}{path}", data, {"Content-Type": "application/json"}
        )
        try:
            return json.loads(content) if content else {}
        except ValueError as error:
            shown = content[:_SHOWN].decode("utf-8", "replace")
            raise Problem(f"{method} {path}: no JSON: {shown}") from error

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL query. Raises Problem if it has errors."""
        told = self.ask("POST", "/func/admin/gql", {"query": text, "variables": variables})
        if told.get("errors"):
            raise Problem("; ".join(str(error.get("message")) for error in told["errors"]))
        found: dict[str, Any] = told["data"]
        return found

    def send(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[str, bytes]:
        """Where it ended, after redirections, and what was there. Raises Problem; 4xx and 5xx too."""
        shown = f"{method} {url.partition('?')[0]}"  # behind it may be a token
        asked = urllib.request.Request(url, data, dict(headers or {}), method=method)
        try:
            with self._opener.open(asked, timeout=deadline.left(TIMEOUT)) as answer:
                return answer.geturl(), _content(answer)
        except urllib.error.HTTPError as refused:
            said = f"{shown}: HTTP {refused.code}: {_reason(refused)}"
            raise Refused(said, refused.code) from None
        except urllib.error.URLError as failure:
            raise Problem(f"{shown}: {failure.reason}", hint=_STATUS) from failure
        except (*_CUT_OFF, ValueError) as failure:
            raise Problem(f"{shown}: {failure}", hint=_STATUS) from failure


_STATUS = "see: backendai-ctl status"
_CUT_OFF = (OSError, http.client.HTTPException)


def _content(answer: Any) -> bytes:
    """What an answer brings; TimeoutError for one that never ends, a byte now and then."""
    until, found = time.monotonic() + deadline.left(TIMEOUT), bytearray()
    while len(found) < MOST and (piece := answer.read1(_PIECE)):
        found += piece
        if time.monotonic() > until:
            raise TimeoutError("it goes on and on")
    return bytes(found)


def _reason(answer: Any) -> str:
    """What a service says of a refusal; of a page, its beginning."""
    content = b""
    try:
        content = _content(answer)
        told = json.loads(content)
    except (*_CUT_OFF, ValueError):
        return content[:_SHOWN].decode("utf-8", "replace").strip() or "no reason given"
    if not isinstance(told, dict):
        return str(told)[:_SHOWN]
    inner = told.get("data")  # of the web server's own answers
    details = inner.get("details") if isinstance(inner, dict) else None
    return str(told.get("msg") or details or told.get("title") or told)[:_SHOWN]
