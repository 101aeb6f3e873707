"""Files as keys: read, edited in place, shown without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backendai_ctl.errors import Problem
from backendai_ctl.rendering import keyed

TOML = Path("/etc/backendai/x.toml")
JSON = Path("/etc/backendai/x.json")
TEXT = """\
# mine
[db]
addr = { host = "a", port = 1 }  # why
name = "n"

[volume."odd.name"]
path = "/v"

[api]
list = [1, 2]
"""


def test_keys_are_dotted_and_lists_are_values() -> None:
    assert keyed.parse(TOML, TEXT) == {
        "db.addr.host": "a",
        "db.addr.port": 1,
        "db.name": "n",
        'volume."odd.name".path': "/v",
        "api.list": [1, 2],
    }


def test_an_edit_touches_nothing_else() -> None:
    changes = {
        "db.addr.port": (1, 2),
        'volume."odd.name".path': ("/v", "/w"),
        "db.name": ("n", None),
        "new.table.key": (None, True),
        "api.list": ([1, 2], [3]),
    }
    edited = keyed.edit(TOML, TEXT, changes)
    assert edited.startswith('# mine\n[db]\naddr = { host = "a", port = 2 }  # why\n')
    assert keyed.parse(TOML, edited) == {
        "db.addr.host": "a",
        "db.addr.port": 2,
        'volume."odd.name".path': "/w",
        "api.list": [3],
        "new.table.key": True,
    }


def test_taking_out_what_is_not_there_is_no_error() -> None:
    assert keyed.edit(TOML, TEXT, {"no.such.key": ("x", None)}) == TEXT


def test_json_is_edited_too() -> None:
    edited = keyed.edit(JSON, '{"a": 1, "b": {"c": 2}}', {"b.c": (2, 3), "d": (None, [1])})
    assert json.loads(edited) == {"a": 1, "b": {"c": 3}, "d": [1]}


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        (TOML, "[a]\nb = \n", 2),
        (TOML, "a = 1\na = 2\n", 2),
        (JSON, '{\n"a": 1,\n}', 2),
        (JSON, "[]", 1),
    ],
)
def test_a_broken_file_is_told_with_its_line(path: Path, text: str, line: int) -> None:
    with pytest.raises(Problem) as caught:
        keyed.parse(path, text)
    assert caught.value.message.startswith(f"{path}:{line}: not ")
    assert "was not touched" in caught.value.message
    assert str(path) in caught.value.hint


@pytest.mark.parametrize(
    "key",
    [
        "db.password",
        "api.manager.secret",
        "secrets.jwt_secret",
        "storages.secret-key",
        "x.access_key",
        "watcher.token",
    ],
)
def test_secrets_are_not_shown(key: str) -> None:
    assert keyed.shown(key, "hunter2") == "(hidden)"


def test_other_values_are_shown() -> None:
    assert keyed.shown("db.name", "n") == '"n"'
    assert keyed.shown("db.password", None) == "(absent)"
    assert keyed.shown("rpc-auth-manager-keypair", "/k") == '"/k"'
    assert keyed.shown("storages", [{"secret_key": "hunter2"}]) == "(hidden)"
