"""The manager learns of the registry and of its images, once, and keeps what an operator made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import oci
import pytest
from site_nodes import At

from backendai_ctl.context import Context
from backendai_ctl.database import registry as rows_of
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout
from backendai_ctl.steps import register_images
from backendai_ctl.validation.load import parse

STEP = register_images.RegisterImages()
NAME = "stable/python:3.13"
HOST = "127.0.0.1:8140"


class Database:
    """The manager's, as far as the step looks: registries, domains with what they permit, images."""

    def __init__(self, *registries: dict[str, Any]) -> None:
        self.registries = list(registries)
        self.permitted: list[str] = []
        self.retired: list[str] = []
        self.in_use: set[str] = set()  # registries, by number, of which the manager knows images
        self.forgotten: set[str] = set()
        self.images: dict[str, str] = {}
        self.found: dict[str, str] = {}  # what a scan of the registry would find

    def value(self, query: str, name: str, project: str) -> int:
        assert "FROM container_registries" in query
        return sum((r["registry_name"], r["project"]) == (name, project) for r in self.registries)

    def rows(self, query: str, value: str = "") -> list[dict[str, Any]]:
        if "username IS NOT NULL" in query:
            return [r for r in self.registries if r.get("username") or r["id"] in self.in_use]
        if "FROM images" in query:
            split = ((name.partition(":"), digest) for name, digest in self.images.items())
            return [
                {
                    "image": name[0],
                    "tag": name[2],
                    "config_digest": f"{digest} ",
                    "status": "DELETED" if name[0] in self.forgotten else "ALIVE",
                }
                for name, digest in split
            ]
        keys = ("url", "type", "username", "password")
        return [
            {**{key: row.get(key) for key in keys}, "extra": json.dumps(row.get("extra"))}
            for row in self.registries
            if row["id"] == value
        ]

    def do(self, statement: str, *values: Any) -> None:
        if "array_append" in statement:
            self.permitted.append(values[0])
        elif "array_remove" in statement:
            self.permitted.remove(values[0])
        elif "UPDATE images" in statement:
            self.in_use.discard(values[0])
            self.retired.append(
                next(r["registry_name"] for r in self.registries if r["id"] == values[0])
            )
        elif "username = NULL" in statement:
            (row,) = [row for row in self.registries if row["id"] == values[0]]
            row.update(username=None, password=None)
        if "SET url" not in statement:
            return
        (row,) = [row for row in self.registries if row["id"] == values[0]]
        keys = ("url", "type", "username", "password", "extra")
        row.update(zip(keys, [*values[1:5], json.loads(values[5] or "null")], strict=True))


@pytest.fixture
def ready(ctx: Context, tmp_path: Path) -> Context:
    """A host with the release's image in its bundle."""
    ctx.secrets.create("registry-password")
    folder = ctx.paths.state / f"bundles/backendai-{ctx.facts.full_version}-linux-amd64/images"
    folder.mkdir(parents=True)
    oci.layout(folder, {NAME: (b"base",)})
    return ctx


@pytest.fixture
def db(ready: Context, monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    (image,) = layout.read(layout.of_release(ready))
    made.found = {NAME: image.config}

    @contextmanager
    def connected(_target: object) -> Iterator[Database]:
        yield made

    def populate(_target: object, rows: dict[str, list[dict[str, Any]]]) -> None:
        made.registries += [dict(row) for row in rows["container_registries"]]

    def rescan(_target: object, name: str) -> None:
        assert name == HOST
        made.images = dict(made.found)

    for word, does in {"connect": connected, "locked": connected}.items():
        monkeypatch.setattr(register_images, word, does)
    monkeypatch.setattr(register_images, "populate", populate)
    monkeypatch.setattr(register_images, "rescan", rescan)
    return made


def test_all_is_made_once(ready: Context, db: Database) -> None:
    whats = [change.what for change in STEP.check(ready)]
    assert whats == [f"registry {HOST}", f"image {NAME}"]
    STEP.apply(ready)
    assert STEP.check(ready) == [] and db.permitted == [HOST]
    (row,) = db.registries
    assert row["url"] == f"http://{HOST}" and row["type"] == "docker"
    assert row["password"] == ready.secrets.get("registry-password")


def test_the_row_that_loads_of_images_had_stays(ready: Context, db: Database) -> None:
    local = {"id": "x", "registry_name": "local", "project": "stable", "url": "http://localhost"}
    db.registries.append(dict(local))
    STEP.apply(ready)
    assert db.registries[0] == local and len(db.registries) == 2


def test_a_row_of_ours_gets_the_login_that_counts(ready: Context, db: Database) -> None:
    STEP.apply(ready)
    db.registries[0]["password"] = "before"
    assert [change.how for change in STEP.check(ready)] == ["renew its login"]
    STEP.apply(ready)
    assert STEP.check(ready) == []


def test_a_row_of_the_operators_with_that_name_stays(ready: Context, db: Database) -> None:
    own = {"id": "theirs", "registry_name": HOST, "project": "stable", "url": "https://x"}
    db.registries.append(dict(own))
    STEP.apply(ready)
    assert db.registries == [own]


def test_an_image_that_the_manager_does_not_find_is_an_error(ready: Context, db: Database) -> None:
    db.found = {}
    with pytest.raises(Problem, match=f"does not find {NAME}"):
        STEP.apply(ready)


def test_an_image_that_changed_is_read_again(ready: Context, db: Database) -> None:
    STEP.apply(ready)
    db.images[NAME] = "sha256:another"
    assert [change.what for change in STEP.check(ready)] == [f"image {NAME}"]


def test_what_an_administrator_takes_back_stays_so(ready: Context, db: Database) -> None:
    STEP.apply(ready)
    db.permitted.clear()
    db.images[NAME] = "sha256:another"
    db.forgotten.add(NAME.partition(":")[0])
    assert STEP.check(ready) == []


def test_a_registry_at_another_address_is_retired(ready: Context, db: Database) -> None:
    """Else engines would send the login to whoever listens at the old one."""
    STEP.apply(ready)
    ports = {"registry": {"http": 8149}}
    network = ready.site.network.model_copy(update={"ports": ports})
    moved = replace(ready, site=ready.site.model_copy(update={"network": network}))
    assert STEP.check(moved)[0].what == f"registry {HOST}"
    STEP.apply(moved)
    assert db.retired == [HOST] and HOST not in db.permitted
    assert db.registries[0]["password"] is None
    assert rows_of.retired(db, rows_of.rows(moved)) == []  # type: ignore[arg-type]


def test_where_there_is_no_manager_there_is_nothing_to_do(ready: Context, db: Database) -> None:
    (ready.paths.units / "backendai-manager.service").unlink()
    assert STEP.check(ready) == []


def test_without_a_usable_registry_loaded_images_are_known(at: At, ctx: Context) -> None:
    (ctx.paths.units / "backendai-registry.service").unlink()
    (row,) = rows_of.rows(ctx)
    assert (row["registry_name"], row["type"]) == ("local", "local")


HARBOR = """
[registries.harbor]
kind = "harbor2"
url = "https://harbor.example"
project = "science"
username = "robot"
password_file = "{password}"

[registries.code]
kind = "gitlab"
url = "https://images.example:5050"
api = "https://code.example"
project = "group/project"
"""


@pytest.fixture
def named(ready: Context, tmp_path: Path) -> Context:
    """The site file names two more registries."""
    password = tmp_path / "robot"
    password.write_text("token\n")
    password.chmod(0o600)
    text = HARBOR.format(password=password)
    return replace(ready, site=parse(ready.paths.site_file, text, ready.facts))


def test_registries_of_the_site_file_are_made_known(named: Context, db: Database) -> None:
    STEP.apply(named)
    assert STEP.check(named) == []
    assert set(db.permitted) == {HOST, "harbor.example", "images.example:5050"}
    _, harbor, code = db.registries
    assert (harbor["type"], harbor["project"], harbor["password"]) == (
        "harbor2",
        "science",
        "token",
    )
    assert code["extra"] == {"api_endpoint": "https://code.example"} and code["username"] is None


def test_a_password_or_an_address_that_changes_is_renewed(named: Context, db: Database) -> None:
    STEP.apply(named)
    (file,) = (one.password_file for one in named.site.registries.values() if one.password_file)
    file.write_text("another\n")
    db.registries[2]["extra"] = {"api_endpoint": "https://old.example"}
    assert len([change for change in STEP.check(named) if "login" in change.how]) == 2
    STEP.apply(named)
    assert db.registries[1]["password"] == "another" and STEP.check(named) == []


def test_one_that_the_site_file_names_no_more_is_retired(
    named: Context, ready: Context, db: Database
) -> None:
    STEP.apply(named)
    db.in_use = {db.registries[2]["id"]}
    assert len([change for change in STEP.check(ready) if "retire" in change.how]) == 2
    STEP.apply(ready)
    assert sorted(db.retired) == ["harbor.example", "images.example:5050"]
    assert db.permitted == [HOST] and db.registries[1]["password"] is None
    assert STEP.check(ready) == []


def test_another_project_of_a_registry_keeps_it_permitted(named: Context, db: Database) -> None:
    other = named.site.registries["harbor"].model_copy(update={"project": "other"})
    both = {**named.site.registries, "other": other}
    STEP.apply(replace(named, site=named.site.model_copy(update={"registries": both})))
    STEP.apply(named)
    assert db.retired == ["harbor.example"] and "harbor.example" in db.permitted
