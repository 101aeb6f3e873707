"""Of an engine, only images of the site's registry go, and only those that nobody can ask for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any, ClassVar

import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import engine
from backendai_ctl.topology import container_engine

AT = "127.0.0.1:8140"
NOW, OLD, GONE = ("sha256:" + digit * 64 for digit in "abc")
HELD = {"stable/python:3.13": NOW}


def image(number: str, tags: tuple[str, ...], digests: tuple[str, ...] = ()) -> dict[str, Any]:
    row = {"Id": number, "RepoTags": list(tags), "RepoDigests": list(digests), "Size": 10}
    return row if tags else {**row, "RepoTags": None}


CURRENT = image("1", (f"{AT}/stable/python:3.13",), (f"{AT}/stable/python@{NOW}",))
OUTDATED = image("2", (f"{AT}/stable/python:3.13",), (f"{AT}/stable/python@{OLD}",))
UNTAGGED = image("3", (), (f"{AT}/stable/python@{OLD}",))
REMOVED = image("4", (f"{AT}/stable/ml:1",), (f"{AT}/stable/ml@{GONE}",))
LOADED = image("5", (f"{AT}/stable/python:3.13",))
THEIRS = image("6", ("hub.example/python:3",), (f"hub.example/python@{OLD}",))
SHARED = image("7", (f"{AT}/stable/ml:1", "mine:1"), (f"{AT}/stable/ml@{GONE}",))
NAMELESS = image("8", ("<none>:<none>",), ("<none>@<none>",))
NEIGHBOUR = image("9", (f"{AT}1/stable/python:3.13",))


class Docker(BaseHTTPRequestHandler):
    """As much of its API as is asked, with what a test puts in."""

    images: ClassVar[list[dict[str, Any]]] = []
    used: ClassVar[list[str]] = []
    deleted: ClassVar[list[str]] = []
    refuses: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        rows = [{"ImageID": number} for number in self.used]
        self._answer(200, self.images if self.path.startswith("/images") else rows)

    def do_DELETE(self) -> None:
        name = self.path.removeprefix("/images/")
        if name in self.refuses:
            self._answer(409, {"message": "in use"})
            return
        self.deleted.append(name)
        self._answer(404 if "@" in name else 200, [])

    def _answer(self, status: int, data: object) -> None:
        text = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


@pytest.fixture
def docker(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Docker]]:
    for word in ("images", "used", "deleted"):
        monkeypatch.setattr(Docker, word, [])
    monkeypatch.setattr(Docker, "refuses", set())
    path = tmp_path / "docker.sock"
    made = replace(container_engine.own(ctx.facts), socket=path)
    monkeypatch.setattr(container_engine, "of", lambda _facts: made)
    with ThreadingUnixStreamServer(str(path), Docker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Docker
        server.shutdown()
        thread.join()


def found(ctx: Context, held: dict[str, str] | None) -> list[str]:
    numbers = {
        tuple(sorted(row["RepoTags"] or ()) + sorted(row["RepoDigests"])): row["Id"]
        for row in Docker.images
    }
    return sorted(numbers[one.names] for one in engine.superseded(ctx, held))


def test_what_the_registry_does_not_name_as_it_is_goes(ctx: Context, docker: type[Docker]) -> None:
    docker.images += [CURRENT, OUTDATED, UNTAGGED, REMOVED, LOADED]
    assert found(ctx, HELD) == ["2", "3", "4"]


def test_away_from_the_registry_only_those_without_a_tag_go(
    ctx: Context, docker: type[Docker]
) -> None:
    docker.images += [CURRENT, OUTDATED, UNTAGGED, REMOVED, LOADED]
    assert found(ctx, None) == ["3"]


def test_images_of_others_stay(ctx: Context, docker: type[Docker]) -> None:
    docker.images += [THEIRS, SHARED, NAMELESS, NEIGHBOUR]
    assert found(ctx, {}) == [] and found(ctx, None) == []


def test_what_a_container_has_stays(ctx: Context, docker: type[Docker]) -> None:
    docker.images += [REMOVED, UNTAGGED]
    docker.used += ["4"]
    assert found(ctx, HELD) == ["3"]


def test_it_is_removed_by_its_names_and_never_by_force(ctx: Context, docker: type[Docker]) -> None:
    docker.images += [REMOVED]
    (old,) = engine.superseded(ctx, HELD)
    assert engine.remove(ctx, old)
    assert docker.deleted == [f"{AT}/stable/ml:1", f"{AT}/stable/ml@{GONE}"]


def test_one_that_got_a_container_meanwhile_is_kept(ctx: Context, docker: type[Docker]) -> None:
    docker.images += [REMOVED]
    docker.refuses.add(f"{AT}/stable/ml:1")
    (old,) = engine.superseded(ctx, HELD)
    assert not engine.remove(ctx, old) and docker.deleted == []


def test_an_engine_that_is_away_is_told(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replace(container_engine.own(ctx.facts), socket=tmp_path / "none")
    monkeypatch.setattr(container_engine, "of", lambda _facts: made)
    with pytest.raises(Problem, match="does not answer"):
        engine.superseded(ctx, None)
