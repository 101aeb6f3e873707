from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from backendai_serve import keeper


def test_systemd_hears_of_a_server_when_it_answers_and_as_long_as_it_does(
    kept: Any, systemd: Any
) -> None:
    kept.status.write_text("503")
    with kept.start() as process:
        assert not any("READY=1" in line for line in systemd.next())
        while "HTTP 503" not in " ".join(systemd.next()):
            pass
        kept.status.write_text("200")
        first = systemd.until("READY=1")[-1]
        assert "STATUS=healthy" in first
        assert systemd.until("WATCHDOG=1")
        kept.status.write_text("500")
        messages = systemd.until(f"STATUS={kept.url}: HTTP 500")
        assert "WATCHDOG=1" not in messages[-1]
        kept.status.write_text("200")
        again = systemd.until("STATUS=healthy")
        assert "WATCHDOG=1" in again[-1] and "READY=1" not in again[-1]
        process.terminate()


def test_signals_reach_the_server_and_its_status_is_the_keepers(kept: Any, systemd: Any) -> None:
    with kept.start() as process:
        systemd.until("READY=1")
        process.terminate()
        assert process.wait(20) == 3
    assert kept.told.read_text() == f"signal {int(signal.SIGTERM)}"
    systemd.until("STOPPING=1")


def test_a_server_has_its_own_group_and_no_word_with_systemd(kept: Any, systemd: Any) -> None:
    with kept.start() as process:
        systemd.until("READY=1")
        pid, group, has_socket = kept.told.read_text().split()
        assert pid == group != str(process.pid)
        assert has_socket == "False"
        process.terminate()


def test_a_server_that_dies_takes_its_keeper_along(kept: Any, systemd: Any) -> None:
    with kept.start() as process:
        systemd.until("READY=1")
        pid = int(kept.told.read_text().split()[0])
        subprocess.run(["kill", "-KILL", str(pid)], check=True)
        assert process.wait(20) == 128 + signal.SIGKILL


def test_a_server_that_ends_at_once_was_never_ready(kept: Any, systemd: Any) -> None:
    kept.script.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(0)\n")
    with kept.start() as process:
        assert process.wait(20) == 0
    assert "READY=1" not in systemd.waiting()


def test_the_drop_in_of_the_site_says_where_health_is(kept: Any, systemd: Any) -> None:
    with kept.start(url="http://127.0.0.1:1/", BACKENDAI_HEALTH=kept.url) as process:
        systemd.until("READY=1")
        process.terminate()


def test_nothing_is_sent_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    keeper.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    keeper.notify("READY=1")
