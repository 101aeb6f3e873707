from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from backendai_serve import health, supervisor

SPEAKER = f'''#!{sys.executable}
"""Answers PING with what a file says; takes a second to stop, and tells how often it was asked then."""
import signal, socketserver, sys, threading, time
from pathlib import Path
status, told, asked = Path(sys.argv[2]), Path(sys.argv[3]), []
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        asked.append(self.request.recv(512))
        self.request.sendall(status.read_bytes())
def stop(number, frame):
    before = len(asked)
    time.sleep(1)
    told.write_text(f"signal {{number}}, asked {{len(asked) - before}} times")
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
socketserver.TCPServer.allow_reuse_address = True
server = socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    signal.pause()
'''


def test_systemd_hears_of_a_server_when_it_answers_and_as_long_as_it_does(
    supervised: Any, systemd: Any
) -> None:
    supervised.status.write_text("503")
    with supervised.start() as process:
        assert not any("READY=1" in line for line in systemd.next())
        while "HTTP 503" not in " ".join(systemd.next()):
            pass
        supervised.status.write_text("200")
        first = systemd.until("READY=1")[-1]
        assert "STATUS=healthy" in first
        assert systemd.until("WATCHDOG=1")
        supervised.status.write_text("500")
        messages = systemd.until(f"STATUS={supervised.url}: HTTP 500")
        assert "WATCHDOG=1" not in messages[-1]
        supervised.status.write_text("200")
        again = systemd.until("STATUS=healthy")
        assert "WATCHDOG=1" in again[-1] and "READY=1" not in again[-1]
        process.terminate()


def test_signals_reach_the_server_and_its_status_is_the_supervisors(
    supervised: Any, systemd: Any
) -> None:
    with supervised.start() as process:
        systemd.until("READY=1")
        process.terminate()
        assert process.wait(20) == 3
    assert supervised.told.read_text() == f"signal {int(signal.SIGTERM)}"
    systemd.until("STOPPING=1")


@pytest.fixture
def speaker(supervised: Any) -> tuple[Any, str]:
    """A server that speaks as Valkey does, and its URL; it says nothing yet."""
    supervised.script.write_text(SPEAKER)
    supervised.status.write_text("")
    return supervised, f"redis://127.0.0.1:{supervised.port}/"


def test_a_server_gets_longer_to_start_while_it_says_why(speaker: Any, systemd: Any) -> None:
    supervised, url = speaker
    extension = f"EXTEND_TIMEOUT_USEC={supervisor.MORE * 1_000_000}"
    with supervised.start(url=url) as process:
        silent = systemd.until(f"STATUS={url}: the answer is not Valkey's")
        supervised.status.write_text("-LOADING the dataset\r\n")
        loading = systemd.until(f"STATUS={url}: LOADING the dataset")
        assert extension in loading[-1]
        assert systemd.next() == systemd.next() == [extension]
        supervised.status.write_text("+PONG\r\n")
        ready = systemd.until("READY=1")
        process.terminate()
    for line in ("READY=1", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC"):
        assert line not in str(silent)
    assert "WATCHDOG=1" not in str([*loading, *ready[:-1]])
    assert ready[-1] == ["READY=1", "WATCHDOG=1", "STATUS=healthy"]


def test_the_watchdog_spares_a_server_that_says_why_and_no_other(
    speaker: Any, systemd: Any
) -> None:
    supervised, url = speaker
    supervised.status.write_text("+PONG\r\n")
    with supervised.start(url=url) as process:
        systemd.until("READY=1")
        supervised.status.write_text("-LOADING anew\r\n")
        assert systemd.until(f"STATUS={url}: LOADING anew")[-1][0] == "WATCHDOG=1"
        assert systemd.next() == systemd.next() == ["WATCHDOG=1"]
        supervised.status.write_text("-BUSY with a script\r\n")
        busy = f"STATUS={url}: BUSY with a script"
        assert systemd.until(busy)[-1] == [busy]
        supervised.status.write_text("+PONG\r\n")
        assert systemd.until("STATUS=healthy")[-1] == ["WATCHDOG=1", "STATUS=healthy"]
        process.terminate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_was_told_to_stop_is_awaited_and_not_asked(
    number: int, speaker: Any, systemd: Any
) -> None:
    supervised, url = speaker
    supervised.status.write_text("+PONG\r\n")
    with supervised.start(url=url) as process:
        systemd.until("READY=1")
        process.send_signal(number)
        assert process.wait(20) == 3
    assert supervised.told.read_text() == f"signal {int(number)}, asked 0 times"
    assert systemd.until("STOPPING=1")[-1] == ["STOPPING=1", "STATUS=stopping"]
    assert systemd.waiting() == []


def test_a_server_that_ends_by_the_signal_it_was_told_to_stop_with_ended_well(
    supervised: Any, systemd: Any
) -> None:
    """As etcd does; else systemd calls it failed whenever somebody stops it."""
    began = f"#!{sys.executable}\nimport os, signal, sys, time\nfrom pathlib import Path\n"
    supervised.script.write_text(f"{began}Path(sys.argv[3]).write_text('up')\ntime.sleep(60)\n")
    with supervised.start() as process:
        while not supervised.told.exists():
            time.sleep(0.01)
        process.terminate()
        assert process.wait(20) == 0
    supervised.script.write_text(f"{began}os.kill(os.getpid(), signal.SIGTERM)\n")
    with supervised.start() as process:
        assert process.wait(20) == 128 + signal.SIGTERM, "nobody told it to"


def test_pauses_grow_while_a_server_says_why_and_stay_below_the_watchdogs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = [*[health.Fault("silent")] * 3, *[health.Fault("recovers", own=True)] * 100, None]
    pauses: list[float] = []

    def wait(_server: int, seconds: float) -> int | None:
        pauses.append(seconds)
        return None if len(pauses) <= len(said) else 0

    monkeypatch.setattr(supervisor, "_wait", wait)
    monkeypatch.setattr(health, "fault", lambda _url: said[len(pauses) - 1])
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert supervisor.supervise(1, "x") == 0
    assert pauses[:4] == [0, supervisor.POLL, supervisor.POLL, supervisor.POLL]
    assert supervisor.POLL < pauses[10] < pauses[20] < pauses[-1] == supervisor.CALM
    # systemd hears of it again before the time that it was given is over.
    assert supervisor.CALM + 3 * health.TIMEOUT < supervisor.MORE
    pauses.clear()
    monkeypatch.setenv("WATCHDOG_USEC", "6000000")
    assert supervisor.supervise(1, "x") == 0
    assert max(pauses) == 2


def test_a_server_has_its_own_group_and_no_word_with_systemd(supervised: Any, systemd: Any) -> None:
    with supervised.start() as process:
        systemd.until("READY=1")
        pid, group, has_socket = supervised.told.read_text().split()
        assert pid == group != str(process.pid)
        assert has_socket == "False"
        process.terminate()


def test_a_server_that_dies_takes_its_supervisor_along(supervised: Any, systemd: Any) -> None:
    with supervised.start() as process:
        systemd.until("READY=1")
        pid = int(supervised.told.read_text().split()[0])
        subprocess.run(["kill", "-KILL", str(pid)], check=True)
        assert process.wait(20) == 128 + signal.SIGKILL


def test_a_server_that_ends_at_once_was_never_ready(supervised: Any, systemd: Any) -> None:
    supervised.script.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(0)\n")
    with supervised.start() as process:
        assert process.wait(20) == 0
    assert "READY=1" not in systemd.waiting()


def test_the_drop_in_of_the_site_says_where_health_is(supervised: Any, systemd: Any) -> None:
    with supervised.start(url="http://127.0.0.1:1/", BACKENDAI_HEALTH=supervised.url) as process:
        systemd.until("READY=1")
        process.terminate()


def test_nothing_is_sent_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    supervisor.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    supervisor.notify("READY=1")
