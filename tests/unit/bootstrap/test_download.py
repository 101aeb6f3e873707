from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bootstrap.download import RETRIES, Gone, fetch_url
from releasekit.errors import Failure


class Server(ThreadingHTTPServer):
    """Answers /N with status N; /flaky fails twice; /short promises more than it sends."""

    asked: list[str]
    url: str


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name = self.path.rsplit("/", 1)[1]
        status, length = 200, 4
        if name.isdigit():
            status = int(name)
        elif name == "flaky" and len(self.server.asked) < 3:
            status = 503
        elif name == "short":
            length = 400
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(b"data")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked = []
        httpd.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def fetch(url: str, target: Path, **proxies: str) -> list[float]:
    pauses: list[float] = []
    fetch_url(url, target, proxies=proxies, sleep=pauses.append)
    return pauses


def test_a_file_arrives(server: Server, tmp_path: Path) -> None:
    assert fetch(f"{server.url}/x", tmp_path / "x") == []
    assert (tmp_path / "x").read_bytes() == b"data"


def test_passing_trouble_is_tried_again(server: Server, tmp_path: Path) -> None:
    pauses = fetch(f"{server.url}/flaky", tmp_path / "x")
    assert len(pauses) == 2
    assert pauses == sorted(pauses)
    assert (tmp_path / "x").read_bytes() == b"data"


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_gone_is_asked_for_once(server: Server, tmp_path: Path, status: int) -> None:
    with pytest.raises(Gone):
        fetch(f"{server.url}/{status}", tmp_path / "x")
    assert len(server.asked) == 1


def test_a_local_file_that_is_gone_counts_as_gone(tmp_path: Path) -> None:
    with pytest.raises(Gone):
        fetch((tmp_path / "absent").as_uri(), tmp_path / "x")


@pytest.mark.parametrize(("path", "tries"), [("403", 1), ("500", RETRIES), ("short", RETRIES)])
def test_lasting_trouble_is_a_clear_error(
    server: Server, tmp_path: Path, path: str, tries: int
) -> None:
    with pytest.raises(Failure, match=f"could not fetch http.*/{path}") as caught:
        fetch(f"{server.url}/{path}", tmp_path / "x")
    assert len(server.asked) == tries
    assert "proxy" in caught.value.hint


def test_apt_proxy_is_used(server: Server, tmp_path: Path) -> None:
    fetch("http://mirror.invalid/pool/x", tmp_path / "x", http=server.url)
    assert server.asked == ["http://mirror.invalid/pool/x"]
