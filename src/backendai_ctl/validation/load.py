"""Reading the site file: every fault at once, or the site."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import tomllib
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from backendai_ctl.errors import Problem
from backendai_ctl.facts import Facts
from backendai_ctl.platform import files
from backendai_ctl.site import locate, reference
from backendai_ctl.site.faults import Fault, SiteFaults
from backendai_ctl.site.locate import Loc
from backendai_ctl.site.schema import Site
from backendai_ctl.site.suggest import suggest
from backendai_ctl.validation import node_rules
from backendai_ctl.validation.rules import contradictions

# Keys that say which others are wanted: with a fault in one, nothing is known about the others.
_DECIDING = {"mode", "kind", "tls", "user", "listen"}
_KEY_FAULT = "[key]"  # how pydantic marks a fault in the name of a table


def load(path: Path, facts: Facts) -> Site:
    """The site that `path` describes; no file: a single host with all defaults.

    Raises SiteFaults with every unknown key, wrong value and contradiction. Reaches no server.
    """
    return parse(path, _text(path), facts)


def _text(path: Path) -> str:
    try:
        return files.read(path) or ""
    except Problem as problem:
        wrong = problem.__cause__
        if not isinstance(wrong, UnicodeDecodeError):
            raise
        line = wrong.object[: wrong.start].count(b"\n") + 1
        fault = Fault((), "not TOML: this line is not UTF-8", "save the file as UTF-8", line)
        raise SiteFaults(path, [fault]) from problem


def parse(
    path: Path, text: str, facts: Facts, *, node: str = "", brought: Collection[Path] = ()
) -> Site:
    """The site that a text describes, which is or will be in `path`; SiteFaults as in `load`.

    `node`: which of its nodes this host will be; it is found out if left out. `brought`: files that
    will be here by then.
    """
    if wrong := locate.syntax_error(text):
        line, reason = wrong
        fault = Fault((), f"not TOML: {reason}", "correct this line or the one before it", line)
        raise SiteFaults(path, [fault])
    site, faults = _validate(tomllib.loads(text))
    deciding = {fault.loc[:-1] for fault in faults if fault.loc and fault.loc[-1] in _DECIDING}
    known = {fault.loc for fault in faults}
    nodes = any(fault.loc[:1] == ("nodes",) for fault in faults)
    elsewhere = node_rules.elsewhere(site, facts, node, brought)
    more = contradictions(site, facts)
    for fault in chain(more, () if node else node_rules.this_host(site, facts)):
        if fault.loc in known or fault.loc[:-1] in deciding or fault.loc in elsewhere:
            continue
        if not (nodes and fault.loc == ("nodes",)):
            faults.append(fault)
    if faults:
        found = locate.lines(text)
        raise SiteFaults(path, [f.at(locate.line_of(found, f.loc)) for f in faults])
    return site


def _validate(data: dict[str, Any]) -> tuple[Site, list[Fault]]:
    """The site, as far as its values are good, and the faults of those that are not."""
    faults: dict[Loc, Fault] = {}
    while True:
        try:
            return Site.model_validate(data), list(faults.values())
        except ValidationError as error:
            details = error.errors(include_url=False)
        found = [(detail, _within(data, detail["loc"])) for detail in details]
        if not faults:  # what comes later are echoes: what is left of a table without its bad keys
            for detail, loc in found:
                fault = _fault(detail, loc)
                faults.setdefault(fault.loc, fault)
        for _, loc in found:
            _drop(data, loc)


def _within(data: Any, loc: Loc) -> Loc:
    """As much of a path as the data has: pydantic goes on to a missing key, or to kinds of values."""
    for depth, part in enumerate(loc):
        try:
            data = data[part]
        except (LookupError, TypeError):
            return loc[:depth]
    return loc


def _drop(data: dict[str, Any], loc: Loc) -> None:
    """Take out a key, or the key around what is no key. The data gets smaller by it."""
    table: Any = data
    for part in loc[:-1]:
        inner = table.get(part)
        if not isinstance(inner, dict):
            table.pop(part, None)
            return
        table = inner
    table.pop(loc[-1], None)


def _fault(detail: ErrorDetails, loc: Loc) -> Fault:
    """`loc`: where in the data it is."""
    if detail["loc"][len(loc) :] == (_KEY_FAULT,):
        wanted = reference.kind({"pattern": detail.get("ctx", {}).get("pattern", "")})
        return Fault(loc, "cannot be the name of a table", f"choose {wanted}")
    known = reference.keys(loc[:-1])
    # Where tables of any name may be, a value of an unknown name is a key that was meant otherwise.
    if detail["type"] == "extra_forbidden" or (
        detail["type"] == "model_type" and known and loc[-1] not in known
    ):
        return Fault(loc, "unknown key", suggest(str(loc[-1]), known))
    if detail["type"] == "missing":
        loc = detail["loc"]
    schema = reference.at(loc)
    expected = f"give {reference.kind(schema)}{_example(schema)}"
    if detail["type"] == "missing":
        return Fault(loc, "is missing", expected)
    if detail["type"] == "value_error":
        return Fault(loc, detail["msg"].removeprefix("Value error, "), expected)
    if detail["type"] == "too_short" and not detail["input"]:
        return Fault(loc, "is empty", expected)
    return Fault(loc, f"cannot be {_shown(detail['input'])}", expected)


def _example(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return (
        ""
        if default in (None, [], {}) or isinstance(default, dict)
        else f", such as {_shown(default)}"
    )


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    return json.dumps(value, ensure_ascii=False, default=str)
