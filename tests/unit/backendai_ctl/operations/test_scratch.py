"""Scratch folders go when their container is gone, and nothing else does."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.operations import scratch, upkeep
from backendai_ctl.platform import http

KERNELS = [f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "abcd"]
ENDED, RUNS, NEW, TMP = KERNELS


@pytest.fixture
def host(ctx: Context) -> Context:
    """A host of an agent with four folders; all but one are old."""
    made = replace(ctx, facts=replace(ctx.facts, components={"agent": agent(ctx)}))
    (ctx.paths.units / "backendai-agent.service").touch()
    for name in (ENDED, RUNS, NEW, f"{TMP}_tmp", "lost+found", f"{ENDED}.bak"):
        inner = scratch.folder(made) / name / "work/some/path"
        inner.mkdir(parents=True)
        (inner / "file").write_text("x")
        age(scratch.folder(made) / name)
    os.utime(scratch.folder(made) / NEW)
    return made


def agent(ctx: Context) -> Any:
    return replace(ctx.facts.components["webserver"], name="agent", unit="backendai-agent.service")


def age(path: Path) -> None:
    then = time.time() - 2 * scratch.AGE
    os.utime(path, (then, then), follow_symlinks=False)


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


def test_those_whose_container_is_gone_are_removed(
    host: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    assert {path.name for path in scratch.left(host)} == {ENDED, f"{TMP}_tmp"}
    assert scratch.sweep(host) == 2
    assert names(host) == {RUNS, NEW, "lost+found", f"{ENDED}.bak"}
    assert scratch.sweep(host) == 0


@pytest.mark.parametrize(
    "answer",
    [(500, "[]"), (200, "not JSON"), (200, "[1]"), (200, "{}x"), (OSError("away"),)],
    ids=str,
)
def test_while_the_engine_does_not_say_nothing_is_removed(
    host: Context, monkeypatch: pytest.MonkeyPatch, answer: tuple[Any, ...]
) -> None:
    engine(monkeypatch, *answer)
    before = names(host)
    assert scratch.sweep(host) == 0
    assert names(host) == before


def test_links_of_the_agent_lead_nowhere(
    host: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a folder that is a link, nor what is linked inside one, nor the folder of all."""
    engine(monkeypatch, 200, containers())
    precious = tmp_path / "precious"
    (precious / ENDED).mkdir(parents=True)
    place = scratch.folder(host)
    link = place / KERNELS[0].replace("a", "e")
    link.symlink_to(precious)
    age(link)
    (place / ENDED / "work/link").symlink_to(precious)
    age(place / ENDED)
    scratch.sweep(host)
    assert (precious / ENDED).is_dir() and link.is_symlink() and ENDED not in names(host)


def test_what_took_its_place_meanwhile_stays(
    host: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    path = scratch.folder(host) / ENDED
    found = scratch.left(host)
    path.rename(path.with_name("moved"))
    (path / "other").mkdir(parents=True)
    monkeypatch.setattr(scratch, "left", lambda _: found)
    assert scratch.sweep(host) == 1  # the other one
    assert (path / "other").is_dir()


def test_a_host_without_agent_or_folder_has_none(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, RuntimeError("asked"))
    assert scratch.left(ctx) == {}


def test_upkeep_tells_what_went(host: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, 200, containers(RUNS))
    monkeypatch.setattr(upkeep, "_renew", lambda _: "the certificates are renewed")
    said = "removed 2 scratch folders of ended sessions; the certificates are renewed"
    assert upkeep.upkeep(host) == said
    assert upkeep.upkeep(host) == "the certificates are renewed"
