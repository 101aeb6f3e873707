"""A client of etcd by its JSON gateway (/v3/...): https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/.

Keys and values are text; bytes that are no UTF-8 survive a round trip.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from http.client import HTTPException
from typing import Any, NamedTuple

from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform import http
from backendai_ctl.probes.servers import reason

TIMEOUT = 5.0  # seconds, for each wait on the network
# Codes of gRPC that the gateway hands on.
_UNAVAILABLE, _UNAUTHENTICATED = 14, 16
_NO_AUTH = "authentication is not enabled"
_NO_GATEWAY = "its gateway for JSON is off, or refuses: see docs/OPERATING.md, Servers of your own"
_STALE = "revision of auth store is old"  # users changed since the login


class Entry(NamedTuple):
    """A value and the revision of etcd that wrote it."""

    value: str
    revision: int


class Unreachable(Pending):
    """No member answered."""


class Refused(Problem):
    """etcd answered with an error; `message` is its own."""

    def __init__(self, endpoint: str, code: int, message: str, *, hint: str = "") -> None:
        super().__init__(f"etcd at {endpoint}: {message}", hint=hint)
        self.endpoint = endpoint
        self.code = code
        self.message = message


class Client:
    """Talks with the first of `endpoints` (HOST:PORT) that answers; logs in if there is a user.

    Where etcd has no authentication the login is left out. Methods raise Unreachable, or Refused.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        user: str = "",
        password: str = "",
        tls: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.endpoints = list(endpoints)
        self.user = user
        self._password = password
        self._tls = tls
        self._timeout = timeout
        self._token: str | None = None  # "": etcd wants none

    def call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of one method, such as kv/range; logs in before, and again if need be."""
        if self._token is None:
            self.login()
        try:
            return self._post(path, body)
        except Refused as refused:
            if not self._token or (
                refused.code != _UNAUTHENTICATED and _STALE not in refused.message
            ):
                raise
        self.login()
        return self._post(path, body)

    def login(self) -> str:
        """Log in; the token, empty if etcd wants none or there is no user."""
        self._token = ""
        if not self.user:
            return ""
        body = {"name": self.user, "password": self._password}
        try:
            self._token = str(self._post("auth/authenticate", body).get("token", ""))
        except Refused as refused:
            if _NO_AUTH not in refused.message:
                self._token = None
                raise Refused(
                    refused.endpoint,
                    refused.code,
                    f"user {self.user}: {refused.message.removeprefix('etcdserver: ')}",
                    hint="see [etcd] in the site file: user, password_file",
                ) from None
        return self._token

    def snapshot(self, keys: Iterable[str]) -> dict[str, Entry]:
        """The entries of `keys` at one revision; absent ones are left out."""
        asked = [{"request_range": {"key": _encode(key)}} for key in keys]
        answers = self.call("kv/txn", {"success": asked}).get("responses", [])
        return {
            key: entry
            for answer in answers
            for key, entry in _entries(answer.get("response_range", {}))
        }

    def prefix(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with `prefix`, in the order of their keys."""
        body = {"key": _encode(prefix), "range_end": _encode(end_of(prefix))}
        return dict(_entries(self.call("kv/range", body)))

    def prefixes(self, prefixes: Iterable[str]) -> dict[str, Entry]:
        """All entries whose key begins with one of `prefixes`, at one revision."""
        ranges = [{"key": _encode(p), "range_end": _encode(end_of(p))} for p in prefixes]
        asked = [{"request_range": one} for one in ranges]
        answers = self.call("kv/txn", {"success": asked}).get("responses", [])
        return {k: e for answer in answers for k, e in _entries(answer.get("response_range", {}))}

    def all_keys(self) -> list[str]:
        """All keys that there are."""
        every = {"key": _encode("\0"), "range_end": _encode("\0"), "keys_only": True}
        return [key for key, _ in _entries(self.call("kv/range", every))]

    def delete(self, prefix: str) -> None:
        """Delete every key that begins with `prefix`."""
        ends = {"key": _encode(prefix), "range_end": _encode(end_of(prefix))}
        self.call("kv/deleterange", ends)

    def commit(
        self, expect: Mapping[str, int], put: Mapping[str, str], delete: Iterable[str] = ()
    ) -> bool:
        """Write all in one transaction if every key of `expect` is at its revision (0: absent)."""
        compare = [
            {"target": "MOD", "result": "EQUAL", "key": _encode(key), "mod_revision": str(revision)}
            for key, revision in expect.items()
        ]
        write: list[dict[str, Any]] = [
            {"request_put": {"key": _encode(key), "value": _encode(value)}}
            for key, value in put.items()
        ]
        write += [{"request_delete_range": {"key": _encode(key)}} for key in delete]
        answer = self.call("kv/txn", {"compare": compare, "success": write})
        return bool(answer.get("succeeded"))

    def member(self, endpoint: str) -> dict[str, Any]:
        """What one member says of itself: version, dbSize, leader ... It needs no login."""
        return self._ask(endpoint, "maintenance/status", {})

    def defragment(self, endpoint: str, timeout: float) -> None:
        """Have one member give free pages back; it answers nobody else meanwhile."""
        if self._token is None:
            self.login()
        self._ask(endpoint, "maintenance/defragment", {}, timeout)

    def alarms(self) -> list[dict[str, str]]:
        """The alarms that are on: memberID, alarm (NOSPACE, CORRUPT)."""
        return list(self.call("maintenance/alarm", {"action": "GET"}).get("alarms", []))

    def disarm(self, alarm: Mapping[str, str]) -> None:
        self.call("maintenance/alarm", {"action": "DEACTIVATE", **alarm})

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        failures = []
        for endpoint in list(self.endpoints):
            try:
                answer = self._ask(endpoint, path, body)
            except Unreachable as failure:
                failures.append(failure.message)
                continue
            except Refused as refused:
                if refused.code != _UNAVAILABLE:
                    raise
                failures.append(refused.message)
                continue
            # The next call begins with the one that answered.
            self.endpoints.remove(endpoint)
            self.endpoints.insert(0, endpoint)
            return answer
        raise Unreachable(
            "; ".join(failures),
            hint="see: backendai-ctl logs etcd; or [etcd] endpoints in the site file",
        )

    def _ask(
        self, endpoint: str, path: str, body: Mapping[str, Any], timeout: float | None = None
    ) -> dict[str, Any]:
        login = {"Authorization": self._token} if self._token else {}
        try:
            status, text = http.ask(
                f"{'https' if self._tls else 'http'}://{endpoint}/v3/{path}",
                timeout=timeout or self._timeout,
                tls=self._tls,
                post=json.dumps(body),
                headers={"Content-Type": "application/json", **login},
                most=None,
            )
        except (OSError, HTTPException) as failure:
            raise Unreachable(f"etcd at {endpoint}: {reason(failure)}") from failure
        try:
            answer = json.loads(text)
        except ValueError as failure:
            short = (text.strip().splitlines() or ["no text"])[0][:160]
            what = f"etcd at {endpoint}: HTTP {status}, no JSON ({short}); {_NO_GATEWAY}"
            raise Unreachable(what) from failure
        if status != 200:
            said = answer.get("message") or answer.get("error") or f"HTTP {status}"
            raise Refused(endpoint, int(answer.get("code", 0)), str(said))
        return dict(answer)


def end_of(prefix: str) -> str:
    """The first key after all that begin with `prefix`, which ends with an ASCII character."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _entries(answer: Mapping[str, Any]) -> list[tuple[str, Entry]]:
    return [
        (_decode(row["key"]), Entry(_decode(row.get("value", "")), int(row["mod_revision"])))
        for row in answer.get("kvs", [])
    ]


def _encode(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "surrogateescape")
