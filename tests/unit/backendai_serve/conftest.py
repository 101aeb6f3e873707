"""Small servers to supervise, and the socket on which systemd would listen."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from upstream import Upstream, shared, unpack

SOURCES = Path(__file__).resolve().parents[3] / "src"
TIMEOUT = 20  # seconds

SERVER = '''#!{python}
"""Answers on a port with what a file says; 200 if it says nothing else."""
import http.server, os, pathlib, signal, sys
from pathlib import Path
status, pids = Path(sys.argv[2]), Path(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(status.read_text() or 200))
        self.end_headers()
    def log_message(self, *words):
        pass
def stop(number, frame):
    pids.write_text(f"signal {{number}}")
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
pids.write_text(f"{{os.getpid()}} {{os.getpgid(0)}} {{'NOTIFY_SOCKET' in os.environ}}")
server.serve_forever()
'''


class Systemd:
    """The socket of notifications."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))

    def next(self) -> list[str]:
        """The lines of the next message; fails when none comes."""
        self.socket.settimeout(TIMEOUT)
        return self.socket.recv(4096).decode().split("\n")

    def waiting(self) -> list[str]:
        """The lines of all messages that have arrived."""
        self.socket.setblocking(False)
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found += self.socket.recv(4096).decode().split("\n")
        return found

    def until(self, line: str) -> list[list[str]]:
        """All messages up to the one with this line."""
        found = [self.next()]
        while line not in found[-1]:
            found.append(self.next())
        return found


class Supervised:
    """A server with its supervisor."""

    def __init__(self, folder: Path, systemd: Systemd) -> None:
        self.status, self.told = folder / "status", folder / "told"
        self.status.write_text("200")
        self.port = free_port()
        self.script = folder / "server"
        self.script.write_text(SERVER.format(python=sys.executable))
        self.systemd = systemd

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health"

    def start(self, *, url: str = "", **environment: str) -> subprocess.Popen[bytes]:
        words = [str(self.script), str(self.port), str(self.status), str(self.told)]
        return subprocess.Popen(
            [sys.executable, "-m", "backendai_serve", "--health", url or self.url, "--", *words],
            env={
                "PYTHONPATH": str(SOURCES),
                "NOTIFY_SOCKET": str(self.systemd.path),
                "WATCHDOG_USEC": "300000",
                **environment,
            },
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def supervised(tmp_path: Path, systemd: Systemd) -> Supervised:
    return Supervised(tmp_path, systemd)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """Code of the services that are changed."""
    services = ("agent", "appproxy-coordinator", "appproxy-worker", "manager", "webserver")
    return unpack(shared(tmp_path_factory), [f"backend-ai-{name}" for name in services])
