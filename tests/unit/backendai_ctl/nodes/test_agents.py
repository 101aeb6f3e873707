"""Agents are told by the manager's key, and how their work ended is read from the site's cache."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.nodes import agents
from backendai_ctl.platform.run import Done

TASK = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"


class Rows:
    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows

    def rows(self, _query: str) -> list[dict[str, Any]]:
        return list(self._rows)


class Cache:
    """What a cache says to GET, one after the other; the last for ever."""

    def __init__(self, *said: str | None) -> None:
        self.said = list(said)
        self.asked: list[str] = []

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, *words: str) -> str | None:
        self.asked.append(" ".join(words))
        if words[0] == "SELECT":
            return "OK"
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]


def event(name: str, message: str | None = None) -> str:
    return json.dumps(
        {"name": name, "source": "i-gpu1", "payload": json.dumps({"message": message})}
    )


@pytest.fixture
def agent() -> agents.Agent:
    return agents.Agent("i-gpu1", "tcp://10.77.0.11:6001", "")


def ends(ctx: Context, monkeypatch: pytest.MonkeyPatch, cache: Cache) -> list[tuple[str, str]]:
    monkeypatch.setattr(agents.servers, "master", lambda *_: ("127.0.0.1", 1))
    monkeypatch.setattr(agents.servers, "log_in", lambda *_, **__: cache)
    monkeypatch.setattr(agents, "_LOOK", 0)
    return list(agents.finished(ctx, {"gpu1 a:1": DASHED}, timeout=0.2))


def test_one_agent_of_a_host_is_enough() -> None:
    address = "tcp://10.77.0.11:"
    db = Rows(
        {"id": "i-gpu1-sftp", "addr": f"{address}6002", "public_key": None},
        {"id": "i-gpu1", "addr": f"{address}6001", "public_key": "key"},
    )
    (one,) = agents.alive(db)  # type: ignore[arg-type]
    assert (one.name, one.host, one.public_key) == ("i-gpu1", "10.77.0.11", "key")


def test_no_password_is_in_the_call_or_the_environment(
    ctx: Context, agent: agents.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def run(argv: list[str], **given: Any) -> Done:
        seen.update(given, argv=argv)
        return Done(0, f'a line of a library\n{{"a:1": "{TASK}"}}\n', "")

    monkeypatch.setattr(agents, "run", run)
    told = agents.pull(ctx, agent, {"a:1": {"registry": {"password": "secret"}}})
    assert told == {"a:1": DASHED}
    assert "secret" in seen.pop("stdin") and "secret" not in str(seen)
    assert seen["user"] == "bai"


def test_an_agent_that_does_not_answer_is_named(
    ctx: Context, agent: agents.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Done(1, "", "Traceback ...\nTimeoutError\n")
    monkeypatch.setattr(agents, "run", lambda *_, **__: done)
    with pytest.raises(Problem, match="i-gpu1 takes no orders: TimeoutError") as caught:
        agents.pull(ctx, agent, {})
    assert "10.77.0.11" in str(caught.value.hint)


def test_it_waits_for_the_end(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(event("bgtask_updated", "Task started"), None, event("bgtask_done"))
    assert ends(ctx, monkeypatch, cache) == [("gpu1 a:1", "")]
    assert cache.asked[:2] == ["SELECT 4", f"GET bgtask.{DASHED}"]


def test_what_went_wrong_is_told(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(event("bgtask_failed", "no space\x1b[2J\n"))  # in a registry's words, perhaps
    assert ends(ctx, monkeypatch, cache) == [("gpu1 a:1", "no space [2J ")]


def test_work_without_an_end_is_given_up(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match=r"not done after .*gpu1 a:1"):
        ends(ctx, monkeypatch, Cache(None))


def test_what_an_engine_did_not_have_or_keeps_is_not_among_the_removed(
    ctx: Context, agent: agents.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"image": "a:1", "error": None}, {"image": "b:1", "error": "DockerError(404, ...)"}]
    monkeypatch.setattr(
        agents, "run", lambda *_, **__: Done(0, json.dumps({"responses": rows}), "")
    )
    assert agents.purge(ctx, agent, ["a:1", "b:1"]) == ["a:1"]
    monkeypatch.setattr(agents, "run", lambda *_, **__: Done(0, "[]", ""))
    with pytest.raises(Problem, match="unexpected answer"):
        agents.purge(ctx, agent, ["a:1"])
