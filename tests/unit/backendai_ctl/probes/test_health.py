"""Promises of backendai_ctl.probes.health: an answer is believed only as far as it says so."""

from __future__ import annotations

import json

import pytest

from backendai_ctl.probes import health

BROKEN = {
    "status": "degraded",
    "version": "26.9.6",
    "connectivity": {
        "overall_healthy": False,
        "connectivity_checks": [
            {"component_id": "etcd", "is_healthy": False, "error_message": "gone\nTraceback"},
            {"component_id": "redis", "is_healthy": True, "error_message": None},
        ],
    },
}


def test_200_with_a_broken_dependency_is_not_healthy() -> None:
    assert health.judge(200, json.dumps(BROKEN)) == health.Health(False, "etcd: gone", "26.9.6")


def test_an_answer_that_is_encoded_twice_is_understood() -> None:
    assert not health.judge(200, json.dumps(json.dumps(BROKEN))).ok


def test_a_gateway_without_its_manager_is_not_healthy() -> None:
    assert not health.judge(200, '{"status": "ready", "manager": "does not answer"}').ok
    assert health.judge(200, '{"status": "ready", "manager": "answers"}').ok


@pytest.mark.parametrize("body", ["", "pong", "[1]", "{}", '"text"'])
def test_the_status_decides_where_the_body_says_nothing(body: str) -> None:
    assert health.judge(200, body).ok
    assert health.judge(503, body) == health.Health(False, "HTTP 503")


def test_the_running_version_is_told() -> None:
    assert health.judge(200, '{"coordinator_version": "26.9.6"}').version == "26.9.6"


def test_nobody_listening_is_an_answer(free_port: int) -> None:
    said = health.ask(f"http://127.0.0.1:{free_port}/health")
    assert said == health.Health(False, "connection refused")
