"""TOML and JSON files as flat tables of keys, and back without losing comments or order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from backendai_ctl.errors import Problem
from backendai_ctl.site.faults import dotted
from backendai_ctl.site.locate import syntax_error

Keys = dict[str, Any]  # as dotted() writes them -> value; lists are values
_SECRET = re.compile(r"(password|secret|token|(secret|access|private)[-_]?key)$", re.IGNORECASE)


def parse(path: Path, text: str) -> Keys:
    """The keys of a file's text. Problem naming the line if it is not TOML (or JSON)."""
    return {dotted(loc): value for loc, value in _flat(_plain(path, text))}


def edit(path: Path, text: str, changes: Mapping[str, tuple[Any, Any]]) -> str:
    """The text with some keys set or, where the new value is None, taken out.

    What would take the place of a value or table that stays is left out: it is an edit, which wins.
    """
    data = _plain(path, text) if _is_json(path) else tomlkit.parse(text)
    where = {dotted(loc): loc for loc, _ in _flat(_plain(path, text))}
    # What goes goes first: a value may have become a table, or a table a value.
    for key, (_, value) in sorted(changes.items(), key=lambda item: item[1][1] is not None):
        loc = where.get(key) or _split(key)
        _set(data, loc, value)
    if _is_json(path):
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return tomlkit.dumps(data)


def is_secret(key: str) -> bool:
    """Whether the value of a key must not be shown."""
    return bool(_SECRET.search(key))


def shown(key: str, value: Any) -> str:
    """A value for people: absent, hidden, or as it is."""
    if value is None:
        return "(absent)"
    tables = isinstance(value, list) and any(isinstance(inner, dict) for inner in value)
    if is_secret(key) or tables:
        return "(hidden)"
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_json(path: Path) -> bool:
    return path.suffix == ".json"


def _plain(path: Path, text: str) -> dict[str, Any]:
    if _is_json(path):
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise _broken(path, error.lineno, error.msg) from error
        if not isinstance(data, dict):
            raise _broken(path, 1, "not an object")
        return data
    if wrong := syntax_error(text):
        raise _broken(path, *wrong)
    try:
        return tomlkit.parse(text).unwrap()
    except TOMLKitError as error:
        raise _broken(path, getattr(error, "line", 1), str(error)) from error


def _broken(path: Path, line: int, reason: str) -> Problem:
    what = "JSON" if _is_json(path) else "TOML"
    return Problem(
        f"{path}:{line}: not {what}: {reason}; the file was not touched",
        hint=f"correct that line, or move the file away to get a new one: {path}",
    )


def _flat(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, key))
        else:
            yield (*above, key), value


def _split(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, as TOML itself reads it."""
    inner: Any = tomlkit.parse(f"{key} = 0").unwrap()
    parts = []
    while isinstance(inner, dict):
        part, inner = next(iter(inner.items()))
        parts.append(part)
    return tuple(parts)


def _set(data: Any, loc: tuple[str, ...], value: Any) -> None:
    for part in loc[:-1]:
        if part not in data:
            if value is None:
                return
            data[part] = tomlkit.table() if isinstance(data, tomlkit.TOMLDocument) else {}
        data = data[part]
        if not isinstance(data, dict):
            return
    if value is None:
        data.pop(loc[-1], None)
    elif not (isinstance(there := data.get(loc[-1]), dict) and list(_flat(there))):
        data[loc[-1]] = value
