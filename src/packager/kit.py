"""What a program of releasekit is made of: an edit, or a renewed lock, rebuilds only what that makes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from releasekit.errors import Failure
from releasekit.locks import canonical

PACKAGE = "releasekit"
# What is imported by another name than that of its distribution.
DISTRIBUTIONS = {
    "cyclonedx": "cyclonedx-python-lib[json-validation]",
    "packageurl": "packageurl-python",
}


@dataclass(frozen=True)
class Kit:
    """Modules of releasekit, and distributions that are imported; sorted."""

    modules: tuple[str, ...]
    libraries: tuple[str, ...]


def kit_of(sources: Mapping[str, str], program: str, locked: Collection[str]) -> Kit:
    """What `program` imports, directly or not, anywhere in its code.

    `sources` maps a module's name (`__init__` is one) to its text; what is in none of them and not
    `locked` is the standard library's.
    """
    if program not in sources:
        raise Failure(
            f"src/{PACKAGE} has no program `{program}`", hint=f"add src/{PACKAGE}/{program}.py"
        )
    seen, libraries = {"__init__"} & set(sources), set[str]()
    queue = [program]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        for top, _, below in (found.partition(".") for found in _imports(sources[name])):
            if top == PACKAGE:
                queue += {below.partition(".")[0]} & set(sources)
            else:
                library = DISTRIBUTIONS.get(top, canonical(top))
                libraries |= {library} if library.partition("[")[0] in locked else set()
    return Kit(tuple(sorted(seen)), tuple(sorted(libraries)))


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
