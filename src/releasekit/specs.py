"""The seam between a rule of the packager and the program of ours that it runs: one dataclass, as JSON.

Each program owns the dataclass of its specification; the rule makes one, so mypy sees both sides.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, TypeVar, get_args, get_origin, get_type_hints

from releasekit.errors import Failure

T = TypeVar("T")


def text(spec: Any) -> str:
    """A specification as its program reads it: the same text for the same values."""
    return json.dumps(dataclasses.asdict(spec), indent=1, sort_keys=True)


def read(kind: Callable[..., T], path: Path) -> T:
    """The specification in a file. Failure if it is of another program, or of another version of it."""
    data = json.loads(path.read_text("utf-8"))
    try:
        made: T = _made(kind, data)
    except TypeError as error:
        raise Failure(
            f"{path}: {error}", hint="the rule and its program are of two releases"
        ) from error
    return made


def _made(kind: Any, data: Any) -> Any:
    """A value of JSON as the type that a field has: dataclasses, and tuples, lists, mappings of them."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints: Mapping[str, Any] = get_type_hints(kind)
        return kind(**{name: _made(hints.get(name), value) for name, value in data.items()})
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (tuple, list):
        return origin(_made(inner[0], value) for value in data)
    if origin in (dict, Mapping):
        return {key: _made(inner[1], value) for key, value in data.items()}
    return data


def program(kind: Callable[..., T], work: Callable[[T], object]) -> Callable[[], int]:
    """`main` of a program: its one argument is the file of a specification, which `work` is given."""

    def main() -> int:
        if len(sys.argv) != 2:
            name = work.__module__.rpartition(".")[2]
            name = Path(sys.argv[0]).stem if name == "__main__" else name
            print(f"usage: python -m releasekit.{name} SPEC.json", file=sys.stderr)
            return 2
        os.umask(0o022)
        work(read(kind, Path(sys.argv[1])))
        return 0

    return main
