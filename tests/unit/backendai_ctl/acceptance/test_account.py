"""Promises of backendai_ctl.acceptance.account: what is chosen of what the manager tells."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from backendai_ctl.acceptance import account
from backendai_ctl.acceptance.browser import Browser
from backendai_ctl.errors import Problem


class Told:
    """A browser that is told rows."""

    def __init__(self, **data: Any) -> None:
        self.data = data

    def query(self, _text: str, **_variables: Any) -> dict[str, Any]:
        return self.data


def agent(name: str, has: dict[str, str], used: dict[str, str], **more: Any) -> Any:
    return {
        "id": name,
        "scaling_group": "default",
        "schedulable": True,
        "available_slots": json.dumps(has),
        "occupied_slots": json.dumps(used),
        **more,
    }


def image(name: str, size: int, ports: str) -> Any:
    labels = [{"key": "ai.backend.service-ports", "value": ports}]
    return {
        "name": name,
        "tag": "1",
        "registry": "r:8140",
        "size_bytes": size,
        "labels": labels,
    }


def told(**data: Any) -> Browser:
    return cast(Browser, Told(**data))


def test_cores_and_devices_are_those_that_are_free() -> None:
    has = {"cpu": "8", "mem": "1000", "cuda.device": "2", "tpu.device": "0"}
    rows = [
        agent("i-a", has, {"cuda.device": "2", "cpu": "3"}),
        agent("i-b", has, {}),
        agent("i-c", has, {}, schedulable=False),
        agent("i-a-sftp", has, {}, scaling_group="sftp"),
    ]
    found = account.agents(told(agent_list={"items": rows}))
    assert [(one.node, one.cores, one.devices) for one in found] == [
        ("a", 5, {"cuda.device": 0.0}),
        ("b", 8, {"cuda.device": 2.0}),
    ]


def test_the_smallest_image_with_notebooks_is_used() -> None:
    rows = [
        image("stable/tiny", 1, "filebrowser:http:8000"),
        image("stable/ml", 900, "jupyterlab:http:8090"),
        image("stable/python", 140, "jupyter:http:8091,jupyterlab:http:8090"),
    ]
    assert account.notebook_image(told(images=rows)) == "r:8140/stable/python:1"
    with pytest.raises(Problem, match="no image with JupyterLab"):
        account.notebook_image(told(images=rows[:1]))


def test_what_another_node_is_at_is_left_alone() -> None:
    """Two acceptances at a time, of one site."""
    asked: list[str] = []

    class Asked:
        def query(self, _text: str, **variables: Any) -> dict[str, Any]:
            asked.append(variables["f"])
            return {"user_list": {"items": []}}

    for node in ("", "m1", "m" * 63):
        account.clear(cast(Browser, Asked()), account.host_of(node))
    assert len(set(asked)) == 3
    for ending in asked:
        assert len(ending.removeprefix('email ilike "%')) + len("accept-01234567") <= 64
        assert ending.endswith('accept.invalid"')
        assert not [other for other in asked if other != ending and ending[13:] in other]


def test_deployments_and_sessions_end_before_their_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it they would leave their addresses at the app proxy, and the folders that they use."""
    monkeypatch.setattr(account, "_LOOK", 0)
    left = {"deployments": ["d"], "sessions": ["s"]}
    done: list[str] = []

    class Site:
        def query(self, text: str, **variables: Any) -> dict[str, Any]:
            if "user_list" in text:
                return {"user_list": {"items": [{"email": "a@accept.invalid", "uuid": "u"}]}}
            if "adminDeployments" in text:
                edges = [{"node": {"entityId": one}} for one in left["deployments"]]
                items = [{"session_id": one} for one in left["sessions"]]
                return {
                    "adminDeployments": {"edges": edges},
                    "compute_session_list": {"items": items},
                }
            for kind, word in (("deployments", "deleteModelDeployment"), ("sessions", "terminate")):
                if word in text:
                    left[kind] = []
                    done.append(kind)
                    return {}
            done.append("account")
            return {"purge_user": {"ok": True}}

    account.clear(cast(Browser, Site()), account.HOST)
    assert done == ["deployments", "sessions", "account"]


def test_an_account_whose_sessions_do_not_end_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_ENDING", -1)
    stuck = told(
        user_list={"items": [{"email": "a@accept.invalid", "uuid": "u"}]},
        adminDeployments={"edges": []},
        compute_session_list={"items": [{"session_id": "s"}]},
    )
    with pytest.raises(Problem, match="still has 0 deployments and 1 sessions"):
        account.clear(stuck, account.HOST)
