"""What servers of ours are made of: read from their BUILD files, without Pants."""

from __future__ import annotations

import ast
from pathlib import Path

from releasekit.errors import Failure

_MACRO = "backendai_server"


def servers(root: Path) -> dict[str, list[str]]:
    """{name of the server: Debian packages that it is assembled from}; Failure for what is not plain."""
    return {
        name: debian
        for path in sorted(root.glob("packaging/servers/*/BUILD"))
        for name, debian in _made_of(path).items()
    }


def _made_of(path: Path) -> dict[str, list[str]]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise Failure(f"{path}: {error}", hint="mend the BUILD file") from None
    found = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", "") != _MACRO:
            continue
        given = {word.arg: word.value for word in call.keywords}
        try:
            name, debian = (ast.literal_eval(given[key]) for key in ("name", "debian"))
        except (KeyError, ValueError):
            raise Failure(
                f"{path}:{call.lineno}: `name` and `debian` must be plain words",
                hint="write them out: scripts/lock-debian reads them",
            ) from None
        found[str(name)] = [str(package) for package in debian]
    return found
