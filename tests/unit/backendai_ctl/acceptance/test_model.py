"""Promises of backendai_ctl.acceptance.model: it is told who answers without a token, and why none serves."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backendai_ctl.acceptance import model
from backendai_ctl.acceptance.account import Agent
from backendai_ctl.acceptance.browser import Browser, Refused
from backendai_ctl.acceptance.outcomes import Skip, Trials
from backendai_ctl.acceptance.tiny_model import ANSWER
from backendai_ctl.acceptance.visitor import Visitor
from backendai_ctl.errors import Problem

REPLICA = {
    "sessionId": "s",
    "status": "PROVISIONING",
    "healthStatus": "NOT_CHECKED",
    "trafficStatus": "INACTIVE",
}


def service(send: Any = None, cores: int = 4, **told: Any) -> Any:
    """One of whose answers `send` decides; the manager tells `told`."""
    browser = SimpleNamespace(query=lambda *_, **__: told)
    visitor = SimpleNamespace(browser=browser, state=lambda _: ("PENDING", ": no core is free"))
    program = SimpleNamespace(send=send)
    agents = [Agent("i-a", "default", cores, {})]
    return model._Service(cast(Visitor, visitor), cast(Browser, program), agents, "local:volume1")


def says(text: str) -> Any:
    body = {"choices": [{"message": {"content": text}}]}
    return lambda *_: ("", json.dumps(body).encode())


def refuses(status: int) -> Any:
    def send(*_: Any) -> Any:
        raise Refused("POST: no", status)

    return send


def test_only_the_models_own_answer_counts() -> None:
    assert service(says(f" {ANSWER}\n")).answer() == repr(ANSWER)
    with pytest.raises(Problem, match="the model says 'Hello'"):
        service(says("Hello")).answer()


def test_an_answer_without_the_token_is_a_failure() -> None:
    assert service(refuses(401)).refuse() == "without it nobody is answered"
    with pytest.raises(Problem, match="it answers without its token"):
        service(says(ANSWER)).refuse()
    with pytest.raises(Refused):
        service(refuses(502)).refuse()


def test_what_is_lacking_is_no_failure() -> None:
    with pytest.raises(Skip, match="no node has one"):
        service(cores=0).start()
    with pytest.raises(Skip, match="no image stable/llm-cpu"):
        service(images=[]).start()


def test_why_none_serves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "PATIENCE", -1)
    seen = {"metadata": {"status": "DEPLOYING"}, "replicas": {"edges": [{"node": REPLICA}]}}
    with pytest.raises(Problem, match="its session PENDING: no core is free"):
        service(deployment=seen)._wait()


def test_a_folder_that_was_made_is_removed_although_nothing_serves() -> None:
    removed: list[str] = []
    made = service()
    made.visitor.remove_folder = removed.append
    made.folder = "f"
    trials = Trials(lambda _: None)
    assert trials.attempt("model", "end", made.end)
    assert removed == ["f"]
