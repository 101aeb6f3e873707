"""Promises of backendai_ctl.cli.status: what is told, and the exit status."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from backendai_ctl.cli.status import command
from backendai_ctl.context import Context
from backendai_ctl.errors import EXIT_FAILED, EXIT_OK, EXIT_PENDING, Pending, Problem
from backendai_ctl.operations import status as gathered
from backendai_ctl.operations.status import Part, Status

WELL = Part("webserver", "backendai-webserver.service", "active", "2026-11-23T08:00:00+00:00", True)
HINT = {"step": "seed-etcd", "state": "failed", "message": "etcd is down", "hint": "start it"}
CAUSE = Problem("seed-etcd failed: etcd is down", hint="start it")
ILL = Part("manager", "u", "inactive", "", False, causes=(CAUSE,))
WAITS = replace(ILL, causes=(Pending("not configured", hint="run: x"),))
SOME_TIME = "2026-11-23T00:00:00+00:00"


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
    status = Status("26.9.6-1", (WELL, ILL, ILL), (), (HINT,), SOME_TIME, True)
    code, text = run(monkeypatch, ctx, status)
    assert code == EXIT_FAILED
    assert text.count("etcd is down") == 1
    assert "hint: start it" in text


def test_json_has_all_of_it(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    status = Status("26.9.6-1", (ILL, WELL), (), (HINT,), SOME_TIME, True)
    code, text = run(monkeypatch, ctx, status, "--json")
    assert code == EXIT_FAILED
    data = json.loads(text)
    row = {"message": CAUSE.message, "hint": CAUSE.hint}
    assert (data["ok"], data["errors"], data["components"][0]["errors"]) == (False, [row], [row])
    assert [part["ok"] for part in data["components"]] == [False, True]
    assert data["unfinished"] == [HINT]


@pytest.mark.parametrize(
    ("parts", "configured", "status"),
    [
        ((WELL, WAITS), SOME_TIME, EXIT_PENDING),
        ((ILL, WAITS), SOME_TIME, EXIT_FAILED),
        ((ILL, replace(WELL, ok=False, message="HTTP 503")), "", EXIT_PENDING),
        ((replace(WELL, ok=False, message="HTTP 503"),), SOME_TIME, EXIT_FAILED),
    ],
)
def test_what_only_waits_is_pending_as_is_a_host_that_was_never_configured(
    ctx: Context,
    monkeypatch: pytest.MonkeyPatch,
    parts: tuple[Part, ...],
    configured: str,
    status: int,
) -> None:
    found = Status("26.9.6-1", parts, (), (), configured, True)
    assert run(monkeypatch, ctx, found)[0] == status


def test_a_server_that_does_not_run_says_why_before_those_that_need_it(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = Problem("valkey: its disk is full: 3 MB left in /x", hint="free space in /x")
    server = Part("valkey", "u", "failed", "", False, message="its disk is full", causes=(cause,))
    _, text = run(monkeypatch, ctx, Status("26.9.6-1", (ILL,), (server,), (), "", False))
    assert text.index("why not: valkey") < text.index("why not: seed-etcd")
    assert "free space in /x" in text
