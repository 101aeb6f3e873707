"""Promises of backendai_command.suite, with upstream's suite as the lock has it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from upstream import ROOT, Upstream, python, shared, unpack

from backendai_command import suite

NOWHERE = "http://127.0.0.1:9"
NAMES = """
import json
from ai.backend.test.testcases.testspecs import ROOT_TEST_SPECS
print(json.dumps(sorted(ROOT_TEST_SPECS)))
"""
SESSION = "5b0ff6b4-6f3b-4b1c-9d7e-0f4a5d1a2c3d"
END = """
import asyncio
from types import SimpleNamespace as Named
from backendai_command.suite import end_sessions
keypair = Named(access_key="AKIA", secret_key="secret")
context = Named(endpoint=Named(api_endpoint="http://127.0.0.1:{port}"), keypair=keypair)
asyncio.run(end_sessions(Named(context=context)))
"""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return unpack(shared(tmp_path_factory), ["backend-ai-test"])


def test_every_spec_is_told_of_and_a_site_that_is_not_there_fails_each(
    upstream: Upstream, tmp_path: Path
) -> None:
    names = json.loads(upstream.run(NAMES, changed=False))
    endpoint = {"api_endpoint": NOWHERE, "login_endpoint": NOWHERE}
    keypair = {"access_key": "AKIA", "secret_key": "not-to-be-seen"}
    context = {"endpoint": endpoint, "keypair": keypair}
    order = {"config": {"context": context}, "limit": 20, "skip": names[:40]}
    done = subprocess.run(
        [str(python()), "-m", "backendai_command.suite"],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{upstream.folder}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows] == names[40:]
    for row in rows:
        (failure, *_) = row["failures"]
        assert failure["error"].isprintable() and failure["trace"].startswith("Traceback")
    assert "not-to-be-seen" not in done.stdout + done.stderr
    assert list(tmp_path.rglob("*.toml")) == []


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def listen(*answers: int) -> tuple[int, int]:
    """How it ended for who listens: the last status, and how often was asked."""
    left = list(answers)

    async def connect(_self: Any) -> int:
        if (status := left.pop(0)) != 200:
            raise Refused(status)
        return status

    class Listener:
        reconnect = connect

    suite.wait_for_sessions(SimpleNamespace(SSEContextManager=Listener), Refused)
    try:
        status = asyncio.run(Listener().reconnect())
    except Refused as refused:
        status = refused.status
    return status, len(answers) - len(left)


def test_who_listens_waits_until_the_session_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_PAUSE", 0.0)
    assert listen(404, 404, 200) == (200, 3)
    assert listen(500, 200) == (500, 1)
    monkeypatch.setattr(suite, "_STARTING", -1.0)
    assert listen(404, 200) == (404, 1)


class Manager(BaseHTTPRequestHandler):
    """Knows one session until it is ended; `asked`: what was ended, and how."""

    asked: list[str]

    def answer(self) -> None:
        if length := int(self.headers.get("Content-Length") or 0):
            self.rfile.read(length)
        if self.command == "DELETE":
            self.asked.append(self.path)
        items = [] if self.asked else [{"session_id": SESSION}]
        told = {"compute_session_list": {"items": items, "total_count": len(items)}}
        version = {"version": "v9.20250722", "manager": "26.9.6"}
        body = json.dumps({**version, "data": told}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_: object) -> None: ...


def test_what_a_spec_left_is_ended(upstream: Upstream) -> None:
    asked: list[str] = []
    handler = type("Here", (Manager,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as manager:
        Thread(target=manager.serve_forever, daemon=True).start()
        upstream.run(END.format(port=manager.server_port), changed=False)
        manager.shutdown()
    assert len(asked) == 1 and SESSION in asked[0] and "forced=true" in asked[0]
