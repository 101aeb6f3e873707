from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bootstrap.cache import Cache, default_cache, exclusive

SRC = Path(__file__).resolve().parents[3] / "src"


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache().root == Path("/home/u/.cache/backendai-packaged")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/c")
    assert default_cache().root == Path("/var/c/backendai-packaged")
    monkeypatch.setenv("BACKENDAI_CACHE", "/big/disk")
    assert default_cache().root == Path("/big/disk")


def test_a_second_set_up_waits_and_says_for_what(
    cache: Cache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def said(text: str) -> None:
        order.append("waits")
        assert "Waiting for another set-up" in text
        assert str(cache.root / "setup.lock") in text
        waiting.set()

    monkeypatch.setattr("bootstrap.cache.say", said)

    def second() -> None:
        with exclusive(cache):
            order.append("second")

    with exclusive(cache):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first done")
    thread.join(10)
    assert order == ["waits", "first done", "second"]


def test_the_lock_of_a_killed_set_up_is_free(cache: Cache) -> None:
    code = (
        "import os, sys; from pathlib import Path; from bootstrap.cache import Cache, exclusive\n"
        f"with exclusive(Cache(Path({str(cache.root)!r}))): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SRC)}, check=False)
    assert done.returncode == -9
    with exclusive(cache):
        pass
