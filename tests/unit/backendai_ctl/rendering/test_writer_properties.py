"""What is written into configuration files is what their readers read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from backendai_ctl.errors import Problem
from backendai_ctl.rendering import render
from backendai_ctl.site import values
from backendai_ctl.site.values import CONTROL

texts = st.text(st.characters(codec="utf-8"), max_size=30)
plain = (
    texts | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
) | st.booleans()
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
lines = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Z"]), max_size=30)


def postgresql_conf(line: str) -> str:
    """The value as guc-file.l reads it: quotes doubled or after a backslash, and C's escapes."""
    assert re.fullmatch(r"'(?:[^'\\\n]|\\.|'')*'", line)
    simple = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
    return re.sub(
        r"''|\\([0-7]{1,3}|.)",
        lambda found: simple.get(found[1], found[1]) if found[1] else "'",
        line[1:-1],
    )


@given(nested)
def test_toml_is_read_as_it_was_meant(value: object) -> None:
    assert tomllib.loads(f"key = {render.toml(value)}\n") == {"key": value}


@given(st.lists(texts.map(lambda name: Path("/", name.replace("\0", ""))), max_size=3))
def test_paths_are_texts_in_toml(paths: list[Path]) -> None:
    read = tomllib.loads(f"key = {render.toml(tuple(paths))}")
    assert read["key"] == [str(path) for path in paths]


@given(nested)
def test_json_is_read_as_it_was_meant(value: object) -> None:
    assert json.loads(render.as_json(value)) == value


@given(lines)
def test_postgresql_reads_the_text(value: str) -> None:
    assert postgresql_conf(render.pg(value)) == value


@given(st.integers() | st.booleans())
def test_numbers_and_switches_need_no_quotes(value: Any) -> None:
    assert re.fullmatch(r"on|off|-?\d+", render.pg(value))
    assert re.fullmatch(r"yes|no|-?\d+", render.words(value))


@given(lines, st.sampled_from("\n\r\0\x1b\x7f\x85"), lines)
def test_no_value_begins_a_line_of_its_own(before: str, control: str, after: str) -> None:
    for write in (render.pg, render.words):
        with pytest.raises(Problem):
            write(before + control + after)
        assert not re.search(f"[{CONTROL}]", write(before))


@given(st.text(max_size=20) | st.floats() | st.integers() | st.booleans() | st.none())
def test_what_may_be_a_setting_can_be_written(value: object) -> None:
    """A setting of the site file goes into postgresql.conf, valkey.conf, etcd's and daemon.json."""
    try:
        made = values.setting(value)
    except ValueError:
        return
    assert made == value
    assert "\n" not in render.pg(made) + render.words(made)
    strict = json.JSONDecoder(parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert strict.decode(render.as_json(made)) == value
