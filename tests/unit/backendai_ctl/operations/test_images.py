"""No image is taken from a session; agents are found by their node."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from site_nodes import At

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.images import pushing, removing
from backendai_ctl.nodes import agents
from backendai_ctl.operations import images

HOST = "127.0.0.1:8140"
NAME = "stable/python:3.13"
AGENT = agents.Agent("i-gpu1", "tcp://10.77.0.11:6001", "key")


@dataclass
class Database:
    """Images that are in use, and sessions by image; `late`: those that come once images were forgotten."""

    alive: set[str] = field(default_factory=lambda: {NAME})
    sessions: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    agent: str = AGENT.name
    address: str = AGENT.address

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        if "FROM kernels" in query:
            return [{"image": n, "sessions": c} for n, c in self.sessions.items() if n in values[0]]
        if "FROM agents" in query:
            return [{"id": self.agent, "addr": self.address, "public_key": "key"}]
        if "JOIN container_registries" in query:
            return [_row(f"{HOST}/{NAME}"), _row("hub.example/own/image:1")]
        status = "ALIVE" if NAME in self.alive else "DELETED"
        return [{"image": NAME[:-5], "tag": NAME[-4:], "config_digest": "x", "status": status}]

    def do(self, _statement: str, status: str, host: str, _before: str, names: list[str]) -> None:
        assert host == HOST
        if status == "DELETED":
            self.alive.difference_update(names)
            self.sessions |= self.late
        else:
            self.alive.update(names)


def _row(name: str) -> dict[str, Any]:
    login = {"url": "http://x", "username": "u", "password": "p"}
    words = {"name": name, "project": "stable", "architecture": "x86_64", "registry": "x"}
    return {**words, **login, "config_digest": "sha256:1 "}


@pytest.fixture
def db(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()

    @contextmanager
    def connected(_target: object) -> Iterator[Database]:
        yield made

    monkeypatch.setattr(images, "connect", connected)
    monkeypatch.setattr(images, "locked", connected)
    link = pushing.tag(ctx, NAME) / "current/link"
    link.parent.mkdir(parents=True)
    link.write_text("sha256:" + "0" * 64)
    return made


def there(ctx: Context) -> bool:
    return pushing.tag(ctx, NAME).exists()


def test_an_image_is_removed_and_forgotten(ctx: Context, db: Database) -> None:
    images.remove(ctx, [NAME], dry_run=True)
    assert there(ctx) and db.alive and not removing.removed(ctx)
    images.remove(ctx, [NAME], dry_run=False)
    assert not there(ctx) and not db.alive and removing.removed(ctx) == [NAME]


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_that_a_session_has_stays(ctx: Context, db: Database, dry_run: bool) -> None:
    db.sessions = {f"{HOST}/{NAME}": 2}
    with pytest.raises(Problem, match=r"did not end have it: stable/python:3\.13 \(2\)"):
        images.remove(ctx, [NAME], dry_run=dry_run)
    assert there(ctx) and db.alive


def test_one_that_a_session_is_asked_for_meanwhile_stays(ctx: Context, db: Database) -> None:
    db.late = {f"{HOST}/{NAME}": 1}
    with pytest.raises(Problem, match="did not end"):
        images.remove(ctx, [NAME], dry_run=False)
    assert there(ctx) and db.alive == {NAME}


def test_one_that_is_not_there_is_told(ctx: Context, db: Database) -> None:
    with pytest.raises(BadRequest, match="not in the registry of this host: stable/no:1"):
        images.remove(ctx, [NAME, "stable/no:1"], dry_run=False)
    assert there(ctx) and db.alive


def test_a_host_without_registry_and_agent_has_nothing_to_prune(at: At) -> None:
    ctx = at("store")
    (ctx.paths.units / "backendai-registry.service").unlink()
    with pytest.raises(BadRequest, match="neither"):
        images.prune(ctx, dry_run=True)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What agents are told to fetch; it fails for images of another registry."""
    made: dict[str, list[str]] = {}

    def pull(_ctx: Context, agent: agents.Agent, wanted: Mapping[str, Any]) -> dict[str, str]:
        made[agent.name] = list(wanted)
        return {name: name for name in wanted}

    def finished(
        _ctx: Context, tasks: Mapping[str, str], _timeout: float
    ) -> Iterator[tuple[str, str]]:
        for name, task in tasks.items():
            yield name, "" if task.startswith(HOST) else "denied"

    monkeypatch.setattr(agents, "pull", pull)
    monkeypatch.setattr(agents, "finished", finished)
    return made


def test_all_that_the_manager_knows_is_pulled(
    ctx: Context, db: Database, told: dict[str, list[str]]
) -> None:
    found = list(images.pull(ctx, [], []))
    assert told == {"i-gpu1": [f"{HOST}/{NAME}", "hub.example/own/image:1"]}
    assert [(one.node, one.why) for one in found] == [("this host", ""), ("this host", "denied")]


def test_an_image_of_the_site_needs_no_registry_in_its_name(
    ctx: Context, db: Database, told: dict[str, list[str]]
) -> None:
    list(images.pull(ctx, [], [NAME]))
    assert told == {"i-gpu1": [f"{HOST}/{NAME}"]}
    with pytest.raises(BadRequest, match="knows no image stable/no:1"):
        list(images.pull(ctx, [], ["stable/no:1"]))


def test_a_node_is_known_by_its_address(at: At, db: Database, told: dict[str, list[str]]) -> None:
    (first, _) = images.pull(at("mgmt"), ["gpu1"], [])
    assert first.node == "gpu1" and list(told) == ["i-gpu1"]
    with pytest.raises(BadRequest, match="no agent is alive on gpu2") as caught:
        list(images.pull(at("mgmt"), ["gpu2"], []))
    assert "gpu1" in str(caught.value.hint)


def test_one_whose_address_is_a_name_is_known_by_its_agents(
    at: At, db: Database, told: dict[str, list[str]]
) -> None:
    db.agent, db.address = "i-gpu2", "tcp://192.0.2.7:6001"
    (first, _) = images.pull(at("mgmt"), ["gpu2"], [])
    assert first.node == "gpu2" and list(told) == ["i-gpu2"]


def test_a_node_without_a_manager_tells_where_to_go(at: At, db: Database) -> None:
    with pytest.raises(BadRequest, match="no manager on this host") as caught:
        list(images.pull(at("gpu1"), [], []))
    assert "--node gpu1" in str(caught.value.hint)


def test_nodes_are_told_to_remove_what_was_removed(
    at: At, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing that a session of earlier has."""
    asked: list[list[str]] = []

    def purge(_ctx: Context, agent: agents.Agent, names: list[str]) -> list[str]:
        assert agent == AGENT
        asked.append(names)
        return names

    monkeypatch.setattr(agents, "purge", purge)
    ctx, name = at("mgmt"), f"10.77.0.1:8140/{NAME}"
    assert images.prune_nodes(ctx, ["gpu1"]).images == [] and asked == []
    db.alive.clear()
    assert images.prune_nodes(ctx, ["gpu1"]).images == [], "it is in the registry"
    shutil.rmtree(pushing.tag(ctx, NAME))
    assert images.prune_nodes(ctx, ["gpu1"]).images == [f"{name} on gpu1"]
    db.sessions = {name: 1}
    assert images.prune_nodes(ctx, ["gpu1"]).images == [] and asked == [[name]]
    with pytest.raises(BadRequest, match="is not on this host"):
        images.prune_nodes(at("gpu1"), ["gpu1"])
