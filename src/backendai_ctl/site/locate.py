"""Where in a TOML file a key stands: tomllib and tomlkit do not tell."""

from __future__ import annotations

import re
from typing import Any

import tomllib

Loc = tuple[str | int, ...]


def syntax_error(text: str) -> tuple[int, str] | None:
    """Line and reason of the first fault that keeps the text from being TOML."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", reason)
        last = max(1, len(text.splitlines()))
        line = int(found[1]) if found and found[1] else last
        return line, reason[: found.start()] if found else reason
    return None


def lines(text: str) -> dict[Loc, int]:
    """The line of every table and key of a valid TOML text, by its path.

    A statement is the fewest lines that are TOML by themselves; parsed alone it tells its keys.
    """
    found: dict[Loc, int] = {}
    table: Loc = ()
    statement, start = "", 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        start = start or number
        statement += line
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = _deepest(parsed)
            _note(found, (), parsed, start)
        else:
            _note(found, table, parsed, start)
        statement, start = "", 0
    return found


def line_of(found: dict[Loc, int], loc: Loc) -> int:
    """The line of a key, or of the nearest table around it; 1 if there is none."""
    while loc:
        if loc in found:
            return found[loc]
        loc = loc[:-1]
    return 1


def _deepest(parsed: dict[str, Any]) -> Loc:
    loc: list[str] = []
    inner: Any = parsed
    while isinstance(inner, dict) and inner:
        key, inner = next(iter(inner.items()))
        loc.append(key)
    return tuple(loc)


def _note(found: dict[Loc, int], above: Loc, parsed: dict[str, Any], line: int) -> None:
    for key, value in parsed.items():
        found.setdefault((*above, key), line)
        if isinstance(value, dict):
            _note(found, (*above, key), value, line)
