"""Scratch folders go when their container is gone, and nothing else does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.operations import scratch, upkeep
from backendai_ctl.platform import http

KERNELS = [f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "abc"]
ENDED, RUNS, TMP = KERNELS


@pytest.fixture
def host(ctx: Context) -> Context:
    """A host of an agent with three folders of kernels."""
    made = replace(ctx, facts=replace(ctx.facts, components={"agent": agent(ctx)}))
    (ctx.paths.units / "backendai-agent.service").touch()
    for name in (ENDED, RUNS, f"{TMP}_tmp", "lost+found", f"{ENDED}.bak"):
        inner = scratch.folder(made) / name / "work/some/path"
        inner.mkdir(parents=True)
        (inner / "file").write_text("x")
    return made


def agent(ctx: Context) -> Any:
    return replace(ctx.facts.components["webserver"], name="agent", unit="backendai-agent.service")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Goes by as many days as it is told to."""
    now = [time.time()]
    monkeypatch.setattr(scratch, "_now", lambda: int(now[0]))

    def pass_by(days: float) -> None:
        now[0] += days * 86400

    return pass_by


def engine(monkeypatch: pytest.MonkeyPatch, *answer: Any) -> None:
    def ask(url: str, **given: Any) -> tuple[int, str]:
        assert url.endswith("/containers/json?all=1") and given["local"]
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer

    monkeypatch.setattr(http, "ask", ask)


def containers(*kernels: str) -> str:
    rows = [{"Labels": {"ai.backend.kernel-id": kernel}} for kernel in kernels]
    return json.dumps([*rows, {"Labels": {}}, {"Labels": None}])


def names(host: Context) -> set[str]:
    return set(os.listdir(scratch.folder(host)))


def test_those_without_a_container_at_two_looks_are_removed(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    before = names(host)
    assert scratch.left(host) == [] and scratch.sweep(host) == 0
    clock(0.5)
    assert scratch.sweep(host) == 0 and names(host) == before
    clock(0.5)
    assert scratch.left(host) == [ENDED, f"{TMP}_tmp"]
    assert scratch.sweep(host) == 2
    assert names(host) == {RUNS, "lost+found", f"{ENDED}.bak"}
    assert scratch.sweep(host) == 0
    assert scratch.record(host).stat().st_mode & 0o777 == 0o600


def test_one_that_had_a_container_meanwhile_begins_anew(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that restarts a session has none for some seconds."""
    for day, known in enumerate([(RUNS,), (RUNS, ENDED, TMP), (RUNS,)]):
        engine(monkeypatch, 200, containers(*known))
        assert scratch.sweep(host) == 0, day
        clock(1)


def test_the_engine_is_asked_again_before_each(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    scratch.sweep(host)
    clock(1)
    answers = [containers(RUNS), containers(RUNS, ENDED), containers(RUNS)]
    monkeypatch.setattr(http, "ask", lambda *_, **__: (200, answers.pop(0)))
    assert scratch.sweep(host) == 1
    assert ENDED in names(host) and f"{TMP}_tmp" not in names(host)


@pytest.mark.parametrize(
    "answer",
    [(500, "[]"), (200, "not JSON"), (200, "[1]"), (200, "{}"), (OSError("away"),)],
    ids=str,
)
def test_while_the_engine_does_not_say_nothing_is_removed(
    host: Context,
    clock: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[Any, ...],
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    scratch.sweep(host)
    clock(1)
    engine(monkeypatch, *answer)
    before = names(host)
    assert scratch.left(host) == [] and scratch.sweep(host) == 0
    assert names(host) == before


def test_links_of_the_agent_lead_nowhere(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a folder that is a link nor what is linked inside one."""
    engine(monkeypatch, 200, containers())
    precious = tmp_path / "precious"
    (precious / ENDED).mkdir(parents=True)
    place = scratch.folder(host)
    link = place / ENDED.replace("a", "e")
    link.symlink_to(precious)
    (place / ENDED / "work/link").symlink_to(precious)
    scratch.sweep(host)
    clock(1)
    scratch.sweep(host)
    assert (precious / ENDED).is_dir() and link.is_symlink() and ENDED not in names(host)


def test_what_took_its_place_meanwhile_stays(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    scratch.sweep(host)
    clock(1)
    path = scratch.folder(host) / ENDED
    path.rename(path.with_name("moved"))
    (path / "other").mkdir(parents=True)
    assert scratch.sweep(host) == 1  # the other one
    assert (path / "other").is_dir()


def test_a_record_that_cannot_be_read_begins_anew(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    scratch.sweep(host)
    clock(1)
    scratch.record(host).write_text("[")
    assert scratch.sweep(host) == 0


def test_a_host_without_agent_or_folder_has_none(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, RuntimeError("asked"))
    assert scratch.left(ctx) == [] and scratch.sweep(ctx) == 0
    assert not scratch.record(ctx).exists()


def test_upkeep_tells_what_went(
    host: Context, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    monkeypatch.setattr(upkeep, "_renew", lambda _: "the certificates are renewed")
    assert upkeep.upkeep(host) == "the certificates are renewed"
    clock(1)
    said = "the certificates are renewed; removed 2 scratch folders of ended sessions"
    assert upkeep.upkeep(host) == said
