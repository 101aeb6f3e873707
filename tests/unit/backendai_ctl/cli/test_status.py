"""Promises of backendai_ctl.cli.status: what is told, and the exit status."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from backendai_ctl import status as gathered
from backendai_ctl.cli.status import command
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, EXIT_OK
from backendai_ctl.status import Part, Status

WELL = Part("webserver", "backendai-webserver.service", "active", "2026-11-23T08:00:00+00:00", True)
HINT = {"step": "seed-etcd", "state": "failed", "what": "etcd is down", "hint": "start it"}
ILL = Part("manager", "u", "inactive", "", False, why=("seed-etcd failed: etcd is down",))


def run(
    monkeypatch: pytest.MonkeyPatch, ctx: Context, status: Status, *words: str
) -> tuple[int, str]:
    monkeypatch.setattr(gathered, "wait", lambda _ctx, _seconds: status)
    done = CliRunner().invoke(command, words, obj=ctx)
    return done.exit_code, done.output


def test_a_healthy_host_is_a_table_and_0(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run(monkeypatch, ctx, Status("26.9.6-1", (WELL,), (), (), "", False))
    assert code == EXIT_OK
    assert "2026-11-23T08:00:00Z  healthy" in text
    assert "why not" not in text


def test_what_does_not_run_says_why_once_and_1(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = Status("26.9.6-1", (WELL, ILL, ILL), (), (HINT,), "", True)
    code, text = run(monkeypatch, ctx, status)
    assert code == EXIT_FAILED
    assert text.count("etcd is down") == 1
    assert "hint: start it" in text


def test_json_has_all_of_it(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run(monkeypatch, ctx, Status("26.9.6-1", (ILL,), (), (HINT,), "", True), "--json")
    assert code == EXIT_FAILED
    data = json.loads(text)
    assert (data["healthy"], data["components"][0]["why"]) == (False, list(ILL.why))
    assert data["unfinished"] == [HINT]


def test_a_server_that_does_not_run_says_why_before_those_that_need_it(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "valkey: its disk is full: 3 MB left in /x; free space in /x"
    server = Part("valkey", "u", "failed", "", False, detail="its disk is full", why=(why,))
    _, text = run(monkeypatch, ctx, Status("26.9.6-1", (ILL,), (server,), (), "", False))
    assert text.index("why not: valkey") < text.index("why not: seed-etcd")
    assert "free space in /x" in text
