"""Which modules of releasekit a program is made of: an edit rebuilds only what those make."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from releasekit.errors import Failure

PACKAGE = "releasekit"


def modules_of(sources: Mapping[str, str], program: str) -> tuple[str, ...]:
    """Names of the modules that `program` imports, directly or not, anywhere in its code; sorted.

    `sources` maps a module's name (`__init__` is one) to its text.
    """
    if program not in sources:
        raise Failure(
            f"src/{PACKAGE} has no program `{program}`", hint=f"add src/{PACKAGE}/{program}.py"
        )
    seen = {"__init__"} & set(sources)
    queue = [program]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue += [found for found in _imports(sources[name]) if found in sources]
    return tuple(sorted(seen))


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for parts in (name.split(".") for name in names):
            if parts[0] == PACKAGE and len(parts) > 1:
                yield parts[1]
