"""Changes modules of upstream as they are imported, in this process and in those it forks or spawns.

A row of TABLE is a module and the function that changes it. It is called once, right after the module
was executed, so that what is changed is there and nobody has used it yet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from multiprocessing import spawn
from types import ModuleType
from typing import Any

from backendai_serve import monitors, probes

TABLE: dict[str, Callable[[Any], None]] = {
    "aiomonitor": monitors.keep_closed,
    "ai.backend.common.health_checker.probe": probes.keep_fresh,
}


def install() -> None:
    """Have the modules of TABLE be changed when they are imported."""
    sys.meta_path.insert(0, _Finder())
    spawn.get_command_line = _installing(spawn.get_command_line)


def _installing(command_line: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The call of a spawned Python, which begins anew: it installs this first as well."""

    def wrapped(**given: Any) -> list[str]:
        words = command_line(**given)
        program = words.index("-c") + 1
        words[program] = f"from {__name__} import install; install(); {words[program]}"
        return words

    return wrapped


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        change = TABLE.get(fullname)
        if not change:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            _wrap(spec.loader, change)
        return spec


def _wrap(loader: Any, change: Callable[[Any], None]) -> None:
    """Have the module's loader change it once it is executed; the loader keeps its type."""
    execute = loader.exec_module

    def and_change(module: ModuleType) -> None:
        execute(module)
        change(module)

    loader.exec_module = and_change
