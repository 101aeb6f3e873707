"""What changed between two releases of Backend.AI that we, or operators, may have to follow.

Read in the wheels themselves by the Python of the release, without running them: settings (the models
of the components), revisions of databases, files that fill one, GraphQL, entry points.
"""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.cache import default_cache
from releasekit.agreement import OWN
from releasekit.errors import Failure, run_main
from releasekit.files import Store
from releasekit.locks import PythonLock, read_python_lock

SETTINGS = re.compile(r"/(?:config|configs)(?:/\w+)?\.py$")
REVISION = re.compile(r"/alembic/versions/(\w+)\.py$")
FIXTURE = re.compile(r"/fixtures/.*\.json$")
SCHEMA = re.compile(r"\.graphql$")
ENTRY_POINTS = re.compile(r"\.dist-info/entry_points\.txt$")


@dataclass
class Contents:
    """What a release's wheels hold of each kind."""

    settings: dict[str, bool] = field(default_factory=dict)  # FILE CLASS.KEY -> whether required
    revisions: set[str] = field(default_factory=set)
    fixtures: dict[str, int] = field(default_factory=dict)  # file -> CRC
    schemas: dict[str, int] = field(default_factory=dict)
    entry_points: set[str] = field(default_factory=set)


def between(old: PythonLock, new: PythonLock, store: Store) -> Iterator[str]:
    """Lines for a person, by kind; those of distributions themselves are the lock's own.

    Failure if a wheel of either is not in the cache.
    """
    before, after = (_contents(lock, store) for lock in (old, new))
    both = after.settings.keys() & before.settings.keys()
    required = {key for key in both if after.settings[key] and not before.settings[key]}
    yield from _listed("settings that are new", after.settings.keys() - before.settings.keys())
    yield from _listed("settings that are gone", before.settings.keys() - after.settings.keys())
    yield from _listed("settings that are required now", required)
    for what, one, other in (
        ("revisions of databases", before.revisions, after.revisions),
        ("entry points", before.entry_points, after.entry_points),
    ):
        yield from _listed(f"{what} that are new", other - one)
        yield from _listed(f"{what} that are gone", one - other)
    yield from _listed("fixtures that differ", _differing(before.fixtures, after.fixtures))
    yield from _listed("schemas of GraphQL that differ", _differing(before.schemas, after.schemas))


def _listed(what: str, found: Iterable[str]) -> Iterator[str]:
    lines = sorted(found)
    yield f"{what}: {len(lines)}"
    yield from (f"  {line}" for line in lines)


def _differing(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for name in {*before, *after}:
        if name not in after:
            yield f"{name} (gone)"
        elif before.get(name) != after[name]:
            yield f"{name} ({'changed' if name in before else 'new'})"


def _contents(lock: PythonLock, store: Store) -> Contents:
    found = Contents()
    for name, entry in {**lock.packages, **lock.unpacked}.items():
        if name.startswith(OWN):
            if not store.has(entry):
                raise Failure(f"{entry.filename} is not in the cache", hint="run ./pants once")
            _read(store.path(entry), found)
    return found


def _read(path: Path, found: Contents) -> None:
    with zipfile.ZipFile(path) as wheel:
        for info in wheel.infolist():
            name = info.filename
            short = name.removeprefix("ai/backend/")
            if SETTINGS.search(name):
                text = wheel.read(info).decode("utf-8")
                found.settings.update(settings(text, short))
            elif REVISION.search(name):
                found.revisions.add(short)
            elif FIXTURE.search(name):
                found.fixtures[short] = info.CRC
            elif SCHEMA.search(name):
                found.schemas[short] = info.CRC
            elif ENTRY_POINTS.search(name):
                found.entry_points |= entry_points(wheel.read(info).decode("utf-8"))


def settings(source: str, where: str) -> dict[str, bool]:
    """The fields of the models in a module: "FILE CLASS.KEY" -> whether it must be given."""
    found = {}
    for kind in ast.walk(ast.parse(source)):
        if not isinstance(kind, ast.ClassDef):
            continue
        for row in kind.body:
            if isinstance(row, ast.AnnAssign) and isinstance(row.target, ast.Name):
                key = row.target.id
                if not key.startswith("_") and "ClassVar" not in ast.unparse(row.annotation):
                    found[f"{where} {kind.name}.{key}"] = _required(row)
    return found


def _required(row: ast.AnnAssign) -> bool:
    """Whether neither the field nor its Field(...) has a default."""
    calls = [
        node
        for part in (row.annotation, row.value)
        if part is not None
        for node in ast.walk(part)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Field"
    ]
    given = any(
        word.arg in ("default", "default_factory") for call in calls for word in call.keywords
    )
    positional = any(call.args and ast.unparse(call.args[0]) != "..." for call in calls)
    plain = row.value is not None and row.value not in calls
    return not (given or positional or plain)


def entry_points(text: str) -> set[str]:
    """Entry points as "GROUP NAME = OBJECT"."""
    found, group = set(), ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[]")
        elif line:
            found.add(f"{group} {line}")
    return found


def main() -> int:
    """`python -m devtools.upstream_changes OLD.lock NEW.lock`, by the Python of the release."""
    old, new = (read_python_lock(Path(name)) for name in sys.argv[1:])
    for line in between(old, new, default_cache().store):
        print(line)
    return 0


if __name__ == "__main__":
    run_main(main)
