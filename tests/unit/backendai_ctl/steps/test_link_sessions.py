"""link-sessions: the agent's way to have containers joined, and who is a node."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from backendai_ctl.checks import links as checks
from backendai_ctl.context import Context
from backendai_ctl.engine import runner
from backendai_ctl.etcd import settings
from backendai_ctl.platform import systemd, units
from backendai_ctl.services import links
from backendai_ctl.steps.link_sessions import LinkSessions
from backendai_serve import clusters

STEP = LinkSessions()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without systemd."""
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    monkeypatch.setattr(systemd, "properties", lambda *_words: {})
    monkeypatch.setattr(systemd, "systemctl", lambda *_words: "")
    return tmp_path / "system"


def test_it_concerns_hosts_with_an_agent(ctx: Context) -> None:
    assert runner.concerned(STEP, ctx)
    (ctx.paths.units / "backendai-agent.service").unlink()
    assert not runner.concerned(STEP, ctx)


def test_it_is_done_once_and_taken_back(ctx: Context, folder: Path) -> None:
    assert STEP.check(ctx)
    STEP.apply(ctx)
    assert STEP.check(ctx) == []
    told = json.loads(links.settings(ctx).read_text())
    assert told == {"local": "127.0.0.1", "nodes": ["127.0.0.1"], "port": 6005}
    assert links.settings(ctx).stat().st_mode & 0o777 == 0o600
    assert f"SocketGroup={ctx.facts.user}" in (folder / links.UNIT).read_text()
    STEP.undo(ctx)
    assert STEP.check(ctx) and not any(folder.iterdir()) and not links.settings(ctx).exists()


def test_services_know_the_same(ctx: Context) -> None:
    """Neither may import the other."""
    assert str(links.SOCKET) == clusters.SOCKET
    assert ctx.site.agent.cluster_network == clusters.NETWORK
    shipped = settings.clusters(ctx)
    assert shipped["config/network/inter-container/default-driver"] == clusters.DRIVER
    assert f"config/plugins/network_manager/{clusters.DRIVER}/network" in shipped


def test_a_socket_that_rests_is_started(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    STEP.apply(ctx)
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "is_active", lambda _unit: False)
    assert [change.what for change in STEP.check(ctx)] == [links.UNIT]


@pytest.mark.parametrize(
    ("said", "level", "text"),
    [
        (b"ok", "ok", "UDP port 6005"),
        (b"the kernel has no VXLAN", "warn", "the kernel has no VXLAN"),
        (b"", "warn", "no answer"),
        (None, "warn", "No such file or directory"),
    ],
)
def test_doctor_tries_the_kernel(
    ctx: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: bytes | None,
    level: str,
    text: str,
) -> None:
    path = tmp_path / "links.sock"
    monkeypatch.setattr(checks.os, "geteuid", lambda: 0)
    monkeypatch.setattr(links, "SOCKET", path)
    if said is not None:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            asked, _ = server.accept()
            assert asked.recv(10) == b"{}"
            asked.sendall(said or b"")
            asked.close()
            server.close()

        threading.Thread(target=answer).start()
    found = checks.able(ctx)
    assert found.level == level and text in found.message
