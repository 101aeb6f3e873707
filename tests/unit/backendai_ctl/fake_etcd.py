"""As much of etcd's JSON gateway as backendai_ctl uses, in memory, with answers as 3.5 gives them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOT = "root"
LASTING = 4_000_000_000  # Unix time at which signed tokens end


class Wrong(Exception):
    """An answer that is an error: code of gRPC, message."""


@dataclass
class FakeEtcd:
    """State of an etcd. `mishap` is called with every method before it runs; it may raise."""

    port: int = 0
    revision: int = 1
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)  # -> value, mod_revision
    users: dict[str, str] = field(default_factory=dict)
    roles: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    grants: dict[str, set[str]] = field(default_factory=dict)
    auth: bool = False
    auth_revision: int = 1
    signed: bool = True
    size: int = 20480  # bytes of its file, of which `needed` are in use once it is compacted
    needed: int = 20480
    compacted: int = 0
    alarms: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    mishap: Callable[[str], None] = lambda _: None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def put(self, key: str, value: str | None) -> None:
        """As somebody else would write: None deletes."""
        self.revision += 1
        self.keys.pop(key, None)
        if value is not None:
            self.keys[key] = (value, self.revision)

    def values(self, prefix: str) -> dict[str, str]:
        return {
            key.removeprefix(prefix): value
            for key, (value, _) in sorted(self.keys.items())
            if key.startswith(prefix)
        }

    def answer(self, method: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        self.calls.append(method)
        self.mishap(method)
        user = self._authenticated(method, token)
        if method.startswith("auth/"):
            return self._auth(method.removeprefix("auth/"), body, user)
        if method == "maintenance/status":
            said = {"version": "3.5.16", "dbSize": str(self.size), "leader": "7"}
            errors = [f"memberID:7 alarm:{alarm} " for alarm in self.alarms]
            return {**said, "header": self._header(), **({"errors": errors} if errors else {})}
        if method in ("maintenance/defragment", "maintenance/alarm") and user != ROOT:
            raise Wrong(7, "etcdserver: permission denied")
        if method == "maintenance/defragment":
            self.size = self.needed if self.compacted else self.size
            return {"header": self._header()}
        if method == "maintenance/alarm":
            if body["action"] == "DEACTIVATE":
                self.alarms.remove(body["alarm"])
            return {"alarms": [{"memberID": "7", "alarm": alarm} for alarm in self.alarms]}
        if method == "kv/compaction":
            if int(body["revision"]) <= self.compacted:
                raise Wrong(11, "etcdserver: mvcc: required revision has been compacted")
            self.compacted = int(body["revision"])
            return {"header": self._header()}
        if method == "kv/range":
            return {"header": self._header(), **self._range(body, user)}
        if method == "kv/deleterange":
            self._allow(_text(body["key"]), user, write=True)
            for row in self._range(body, user).get("kvs", []):
                self.put(_text(row["key"]), None)
            return {"header": self._header()}
        if method == "kv/txn":
            return {"header": self._header(), **self._txn(body, user)}
        raise Wrong(12, "Not Found")

    def _authenticated(self, method: str, token: str) -> str:
        if not self.auth or method in ("auth/authenticate", "maintenance/status"):
            return ROOT
        if not token:
            raise Wrong(3, "etcdserver: user name is empty")
        try:
            payload = token.split(".")[1]
            said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (ValueError, IndexError):
            raise Wrong(16, "etcdserver: invalid auth token") from None
        if said["revision"] < self.auth_revision:
            raise Wrong(3, "etcdserver: revision of auth store is old")
        return str(said["username"])

    def _auth(self, method: str, body: dict[str, Any], user: str) -> dict[str, Any]:
        if method == "authenticate":
            return {"token": self._token(body)}
        if user != ROOT:
            raise Wrong(7, "etcdserver: permission denied")
        name = body.get("name") or body.get("user") or body.get("role") or ""
        exists = {"user": name in self.users, "role": name in self.roles}
        kind, _, verb = method.partition("/")
        if verb == "add":
            if exists[kind]:
                what = "user" if kind == "user" else "role"
                raise Wrong(9, f"etcdserver: {what} name already exists")
        elif kind in exists and not exists[kind] and method not in ("user/grant", "user/list"):
            raise Wrong(9, f"etcdserver: {kind} name not found")
        if method == "user/get":
            return {"roles": sorted(self.grants.get(name, ()))}
        if method == "role/get":
            return {"perm": self.roles[name]}
        self.auth_revision += 1
        if method in ("user/add", "user/changepw"):
            self.users[name] = body["password"]
        elif method == "user/delete":
            del self.users[name]
            self.grants.pop(name, None)
        elif method == "user/grant":
            self.grants.setdefault(name, set()).add(body["role"])
        elif method == "user/list":
            self.auth_revision -= 1
            return {"users": sorted(self.users)}
        elif method == "role/add":
            self.roles[name] = []
        elif method == "role/delete":
            del self.roles[name]
        elif method == "role/grant":
            self.roles[name].append(body["perm"])
        elif method == "enable":
            if ROOT not in self.users or ROOT not in self.grants.get(ROOT, ()):
                raise Wrong(9, "etcdserver: root user does not exist")
            self.auth = True
        elif method == "disable":
            self.auth = False
        return {}

    def _token(self, body: dict[str, Any]) -> str:
        if not self.auth:
            raise Wrong(9, "etcdserver: authentication is not enabled")
        if self.users.get(body["name"]) != body["password"]:
            raise Wrong(3, "etcdserver: authentication failed, invalid user ID or password")
        end = LASTING if self.signed else 0
        said = {"exp": end, "revision": self.auth_revision, "username": body["name"]}
        payload = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
        return f"head.{payload}.signature"

    def _range(self, body: dict[str, str], user: str) -> dict[str, Any]:
        first, last = _text(body["key"]), _text(body.get("range_end", ""))
        self._allow(first, user)
        found = [
            {"key": _b64(key), "value": _b64(value), "mod_revision": str(revision)}
            for key, (value, revision) in sorted(self.keys.items())
            if key == first or (last and first <= key and (key < last or last == "\0"))
        ]
        return {"kvs": found, "count": str(len(found))} if found else {}

    def _txn(self, body: dict[str, Any], user: str) -> dict[str, Any]:
        for row in body.get("compare", []):
            now = self.keys.get(_text(row["key"]), ("", 0))[1]
            if now != int(row["mod_revision"]):
                return {}
        answers: list[dict[str, Any]] = []
        writes = [op for op in body["success"] if "request_range" not in op]
        self.revision += bool(writes)
        for op in body["success"]:
            ((kind, request),) = op.items()
            key = _text(request["key"])
            self._allow(key, user, write=kind != "request_range")
            if kind == "request_range":
                answers.append({"response_range": self._range(request, user)})
            elif kind == "request_put":
                self.keys[key] = (_text(request["value"]), self.revision)
            else:
                self.keys.pop(key, None)
        return {"succeeded": True, "responses": answers}

    def _allow(self, key: str, user: str, *, write: bool = False) -> None:
        if user == ROOT:
            return
        for perm in self.roles.get(user, []) if user in self.grants.get(user, ()) else []:
            enough = not write or perm["permType"] == "READWRITE"
            if enough and _text(perm["key"]) <= key < _text(perm["range_end"]):
                return
        raise Wrong(7, "etcdserver: permission denied")

    def _header(self) -> dict[str, str]:
        return {"revision": str(self.revision), "member_id": "7"}


@contextmanager
def running(etcd: FakeEtcd) -> Iterator[FakeEtcd]:
    """Serve it on loopback. A mishap that raises closes the connection without an answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            method = self.path.removeprefix("/v3/")
            try:
                said = etcd.answer(method, body, self.headers.get("Authorization", ""))
            except Wrong as wrong:
                code, message = wrong.args
                self._send(401 if code == 16 else 400, {"code": code, "message": message})
            except ConnectionError:
                self.close_connection = True
            else:
                self._send(200, said)

        def do_GET(self) -> None:
            said = {"/health": {"health": "true"}, "/version": {"etcdserver": "3.5.16"}}
            self._send(200, said[self.path])

        def _send(self, status: int, data: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(data).encode())

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", etcd.port), Handler)
    etcd.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield etcd
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Dies:
    """A mishap: the connection breaks at call number `at` (0 is the first) and all after it."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, _method: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConnectionError


def _b64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _text(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "surrogateescape")
