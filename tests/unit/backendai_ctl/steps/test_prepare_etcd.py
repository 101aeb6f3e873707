"""prepare-etcd: a login that lasts, and services that log in again when users changed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from fake_etcd import FakeEtcd

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.steps import prepare_etcd, units
from backendai_ctl.steps.prepare_etcd import KEY, STEP, login_mark
from backendai_ctl.system import systemd


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where unit files go; no systemd is running."""
    monkeypatch.setattr(units, "FOLDER", tmp_path / "system")
    monkeypatch.setattr(systemd, "booted", lambda: False)
    return tmp_path / "system"


def test_a_second_run_finds_nothing(there: Context, etcd: FakeEtcd, folder: Path) -> None:
    assert [change.how for change in STEP.check(there)] == ["write it"]
    STEP.apply(there)
    revisions = etcd.revision, etcd.auth_revision
    assert STEP.check(there) == []
    assert (etcd.revision, etcd.auth_revision) == revisions
    text = (folder / "etcd.service.d/backendai.conf").read_text()
    assert f"LoadCredential={KEY}:{there.secrets.path(KEY)}" in text
    assert there.secrets.get(KEY) not in text


def test_etcd_is_restarted_until_its_tokens_last(
    there: Context, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []

    def systemctl(*words: str, **_: object) -> str:
        calls.append(words)
        etcd.signed = etcd.signed or words[0] == "restart"
        return ""

    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", systemctl)
    monkeypatch.setattr(systemd, "properties", lambda *_: {})
    etcd.signed = False
    STEP.apply(there)
    assert ("restart", "etcd.service") in calls
    etcd.signed = False  # somebody started it without our drop-in
    assert [change.what for change in STEP.check(there)] == ["etcd.service"]
    STEP.apply(there)
    assert calls.count(("restart", "etcd.service")) == 2
    assert STEP.check(there) == []


def test_tokens_that_stay_short_are_a_problem_that_names_the_file(
    there: Context, etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "booted", lambda: True)
    monkeypatch.setattr(systemd, "systemctl", lambda *_: "")
    etcd.signed = False
    with pytest.raises(Problem, match="short-lived") as caught:
        STEP.apply(there)
    assert "/etc/default/etcd" in caught.value.hint


def test_users_that_changed_make_services_log_in_again(there: Context, etcd: FakeEtcd) -> None:
    STEP.apply(there)
    before = login_mark(there).read_text()
    etcd.auth_revision += 1  # etcdctl user add
    assert [change.what for change in STEP.check(there)] == ["etcd logins"]
    STEP.apply(there)
    assert login_mark(there).read_text() != before
    assert STEP.check(there) == []


def test_without_etcd_the_drop_in_is_written_and_the_rest_is_pending(
    there: Context, folder: Path, free_port: int
) -> None:
    there.site.etcd.endpoints[:] = [f"127.0.0.1:{free_port}"]
    with pytest.raises(Pending, match="connection refused"):
        STEP.apply(there)
    assert (folder / "etcd.service.d/backendai.conf").exists()
    with pytest.raises(Pending):
        STEP.check(there)


def test_undo_leaves_it_open_and_without_our_files(
    there: Context, etcd: FakeEtcd, folder: Path
) -> None:
    STEP.apply(there)
    STEP.undo(there)
    assert (etcd.auth, etcd.users) == (False, {})
    assert list(folder.iterdir()) == []
    assert not login_mark(there).exists()


def test_where_nodes_need_it_etcd_is_restarted_until_it_listens_for_them(
    there: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(there.site.etcd.endpoints[0].rpartition(":")[2])
    monkeypatch.setattr(prepare_etcd, "server_addresses", lambda *_: ["127.0.0.9"])
    monkeypatch.setattr(systemd, "booted", lambda: True)
    started: list[socket.socket] = []

    def systemctl(*words: str, **_: object) -> str:
        if words[0] == "restart":
            started.append(socket.create_server(("127.0.0.9", port)))
        return ""

    monkeypatch.setattr(systemd, "systemctl", systemctl)
    try:
        STEP.apply(there)
        text = (folder / "etcd.service.d/backendai.conf").read_text()
        assert f"http://127.0.0.1:{port},http://127.0.0.9:{port}" in text
        assert STEP.check(there) == []
    finally:
        for server in started:
            server.close()
    assert [change.how for change in STEP.check(there)] == [
        "restart it: other nodes cannot reach it yet"
    ]
    started.clear()
    monkeypatch.setattr(systemd, "systemctl", lambda *_: "")
    with pytest.raises(Problem, match=r"does not listen on 127\.0\.0\.9"):
        STEP.apply(there)
