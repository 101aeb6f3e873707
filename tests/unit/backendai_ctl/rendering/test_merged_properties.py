"""A file that was merged and edited holds what the merge decided, whatever was in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomlkit
import tomllib
from hypothesis import given, settings
from hypothesis import strategies as st

from backendai_ctl.platform.threeway import merge
from backendai_ctl.rendering import keyed
from backendai_ctl.rendering.render import toml

# Names of tables and of keys differ: what is a table in one version is a table in the others.
names = st.sampled_from(["a", "b-c", "d e", "ü", "x.y", '"'])
tables = st.sampled_from(["T", "U V", "W.X"])
leaves = st.integers(0, 3) | st.sampled_from(["", "text", "#", 'a "b"\n']) | st.booleans()
values = leaves | st.lists(leaves, max_size=3)
keys = st.dictionaries(names, values, max_size=4)
documents = st.builds(
    lambda top, inner, deep: {**top, **{k: {**v, **deep} for k, v in inner.items()}},
    keys,
    st.dictionaries(tables, keys, max_size=3),
    st.dictionaries(tables, keys, max_size=2),
)


styles = st.sampled_from(["header", "inline", "dotted"])


def as_toml(document: dict[str, Any], style: str = "header", above: tuple[str, ...] = ()) -> str:
    """With a comment at every key, and tables in one of the ways in which people write them."""
    text, more = "", ""
    for key, value in document.items():
        path = keyed.dotted((*above, key))
        if not isinstance(value, dict) or (style == "inline" and value):
            text += f"{keyed.dotted((key,))} = {toml(value)}  # as {key!r}\n"
        elif style == "dotted":
            text += "".join(
                f"{keyed.dotted((key, inner))} = {toml(it)}  # below\n"
                for inner, it in value.items()
            )
        else:
            more += f"\n[{path}]\n{as_toml(value, style, (*above, key))}"
    return text + more


def as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)


def check(path: Path, base: str, yours: str, new: str) -> str:
    done = merge(*(keyed.parse(path, text) for text in (base, yours, new)))
    edited = keyed.edit(path, yours, done.changes)
    assert keyed.parse(path, edited) == done.result
    return edited


@settings(max_examples=40)
@given(documents, documents, documents, styles)
def test_toml(base: dict[str, Any], yours: dict[str, Any], new: dict[str, Any], style: str) -> None:
    edited = check(Path("x.toml"), as_toml(base), as_toml(yours, style), as_toml(new))
    assert tomllib.loads(edited) == tomlkit.parse(edited).unwrap()  # any other reader, too


@given(documents, documents, documents)
def test_json(base: dict[str, Any], yours: dict[str, Any], new: dict[str, Any]) -> None:
    check(Path("x.json"), as_json(base), as_json(yours), as_json(new))


@settings(max_examples=30)
@given(documents, documents)
def test_what_is_not_changed_stays_to_the_letter(
    yours: dict[str, Any], new: dict[str, Any]
) -> None:
    text = as_toml(yours)
    edited = check(Path("x.toml"), "", text, as_toml(new))
    lines = edited.splitlines()
    assert all(line in lines for line in text.splitlines())
    assert keyed.edit(Path("x.toml"), text, {}) == text


# Here a name may be a value in one version and a table in another.
mixed = st.dictionaries(
    names, leaves | st.dictionaries(names, leaves, min_size=1, max_size=2), max_size=3
)


@given(mixed, mixed)
def test_a_value_may_become_a_table(base: dict[str, Any], new: dict[str, Any]) -> None:
    for path, text in ((Path("x.toml"), as_toml), (Path("x.json"), as_json)):
        check(path, text(base), text(base) + "\n", text(new))


@given(mixed, mixed, mixed)
def test_an_edit_wins_over_a_value_that_became_a_table(
    base: dict[str, Any], yours: dict[str, Any], new: dict[str, Any]
) -> None:
    path = Path("x.toml")
    before, mine, now = (keyed.parse(path, as_toml(side)) for side in (base, yours, new))
    done = merge(before, mine, now)
    found = keyed.parse(path, keyed.edit(path, as_toml(yours), done.changes))
    edits = {key: value for key, value in mine.items() if before.get(key) != value}
    assert edits.items() <= found.items() <= {**done.result}.items()


@settings(max_examples=30)
@given(documents)
def test_a_key_is_found_again_by_its_name(document: dict[str, Any]) -> None:
    for name, value in keyed.parse(Path("x.toml"), as_toml(document)).items():
        inner: Any = document
        for part in keyed._split(name):
            inner = inner[part]
        assert inner == value
