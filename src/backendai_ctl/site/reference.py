"""The reference of the site file, made from its schema: a page and a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from backendai_ctl.site import values
from backendai_ctl.site.locate import Loc
from backendai_ctl.site.schema import Site

Schema = Mapping[str, Any]

_WORDS = {
    "integer": "an integer",
    "string": "a string",
    "boolean": "true or false",
    "object": "a table",
}
_PATTERNS = {
    "^/": "an absolute path",
    r"^(0|[1-9][0-9]*[KMGT])$": "a size such as 512M or 8G",
    r"^[a-z0-9][a-z0-9-]{0,62}$": "a name of small letters, digits and `-`",
    r"^[a-z_][a-z0-9_-]{0,30}$": "a name of small letters, digits, `-` and `_`, 31 at most",
    r"^[A-Za-z_][A-Za-z0-9_-]{1,62}$": "a name of letters, digits, `_` and `-`, two at least",
    values.EMAIL: "an e-mail address",
    values.SETTING: "a name of small letters, digits, `_`, `.` and `-`",
}


@cache
def schema() -> Schema:
    """The JSON schema of the site file."""
    made: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Site.model_json_schema(),
        "title": "site.toml",
        "description": "What a Backend.AI site is like: /etc/backendai/site.toml",
    }
    return made


def json_schema() -> str:
    """The JSON schema as a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def at(loc: Loc) -> Schema:
    """The schema of one key; empty if there is no such key."""
    here = schema()
    for part in loc:
        here = resolve(here)
        if isinstance(part, int):
            prefix = here.get("prefixItems")
            here = prefix[part] if prefix and part < len(prefix) else here.get("items", {})
        else:
            free = here.get("additionalProperties")
            free = free if isinstance(free, dict) else _first(here.get("patternProperties"))
            here = here.get("properties", {}).get(part, free or {})
    return here


def keys(loc: Loc) -> list[str]:
    """The keys that a table may have."""
    return list(resolve(at(loc)).get("properties", {}))


def resolve(part: Schema) -> Schema:
    """Follow references, also of what may be left out. Keeps description and default."""
    while True:
        if "$ref" in part:
            target = schema()["$defs"][part["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in part:
            target = next(p for p in part["anyOf"] if p.get("type") != "null")
        else:
            return part
        rest = {key: value for key, value in part.items() if key not in ("$ref", "anyOf")}
        part = {**target, **rest}


def kind(part: Schema) -> str:
    """What a value has to be, in words."""
    part = resolve(part)
    if "enum" in part:
        return " or ".join(json.dumps(value) for value in part["enum"])
    if "prefixItems" in part:
        return f"a list of {len(part['prefixItems'])} integers"
    if part.get("type") == "array":
        return f"a list of strings{', one at least' if part.get('minItems') else ''}"
    words = _PATTERNS.get(part.get("pattern", ""), _WORDS.get(part.get("type", ""), "a value"))
    if "minimum" in part:
        top = f" to {part['maximum']}" if "maximum" in part else " on"
        words += f" from {part['minimum']}{top}"
    return words


class Key(NamedTuple):
    """A key of a table, in words; `default` is code between backticks, or a word."""

    name: str
    kind: str
    default: str
    meaning: str


class Table(NamedTuple):
    """A table of the site file: `name` as TOML writes it."""

    name: str
    meaning: str
    keys: tuple[Key, ...]


def tables() -> Iterator[Table]:
    """All tables, in the order of the schema."""
    for name, part in schema()["properties"].items():
        found = resolve(part)
        if named := _first(found.get("patternProperties")):
            row = {**resolve(named), "description": found["description"]}
            yield from _tables((name, "NAME"), row)
        else:
            yield from _tables((name,), found)


def markdown() -> str:
    """The reference page."""
    parts = [f"{_HEAD}\n{INTRODUCTION}"]
    for table in tables():
        parts.append(f"\n## {table.name}\n\n{table.meaning}\n")
        parts.append("| key | value | default | meaning |\n|---|---|---|---|")
        for key in table.keys:
            cells = (f"`{key.name}`", _cell(key.kind), key.default, _cell(key.meaning))
            parts.append(f"| {' | '.join(cells)} |")
    return "\n".join(parts)


def _tables(loc: tuple[str, ...], part: Schema) -> Iterator[Table]:
    plain, tables = [], []
    for key, value in part.get("properties", {}).items():
        found = resolve(value)
        if found.get("properties"):
            tables.append(((*loc, key), found))
        elif found.get("type") == "object":
            plain.append((key, found))
            inner = found.get("additionalProperties") or _first(found.get("patternProperties"))
            inner = resolve(inner) if isinstance(inner, dict) else {}
            if inner.get("properties"):
                named = {**inner, "description": f"One {key.removesuffix('s')} by its name."}
                tables.append(((*loc, key, "NAME"), named))
        else:
            plain.append((key, found))
    free = part.get("additionalProperties")
    if part.get("properties") and isinstance(free, dict):
        tables.append(((*loc, "NAME"), resolve(free)))
    required = part.get("required", ())
    made = (
        Key(key, kind(found), _default(found, key in required), found.get("description", ""))
        for key, found in plain
    )
    yield Table(f"[{'.'.join(loc)}]", part.get("description", ""), tuple(made))
    for inner_loc, found in tables:
        yield from _tables(inner_loc, found)


def _default(part: Schema, required: bool) -> str:
    if required:
        return "required"
    value = part.get("default")
    if value is None:
        return "optional"
    if isinstance(value, dict):
        return ", ".join(f"`{key}`" for key in value) or "none"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _first(table: object) -> Any:
    return next(iter(table.values()), None) if isinstance(table, dict) else None


_HEAD = """\
# The site file

Made from its schema by `scripts/write-reference`; `site.schema.json` is for programs.
"""
INTRODUCTION = """\
`/etc/backendai/site.toml` describes the site. Without it, everything runs on one host and
is reached from this host alone. Put it there before or after installing, then run

    backendai-ctl config check
    backendai-ctl reconfigure --dry-run
    backendai-ctl reconfigure

Every fault is reported at once, with its line, and nothing is applied until there is none.
A site that its network may reach, on an NFS volume, with another administrator:

    [site]
    name = "Lab"
    address = "ai.example.org"

    [network]
    listen = "192.168.0.5"
    allow = ["192.168.0.0/24"]

    [network.ports.webserver]
    http = 8443

    [admin]
    email = "root@example.org"

    [storage.volumes.home]
    kind = "nfs"
    server = "nas.example.org"
    export = "/export/home"

What no key here covers, write into the components' own files in `/etc/backendai`: your edits
there are kept, and shown by `backendai-ctl config diff`.
"""
