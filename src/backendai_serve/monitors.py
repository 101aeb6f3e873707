"""Keeps upstream's debug monitors closed.

aiomonitor shows and cancels the tasks of a service without asking who is there, and the app proxy's
worker has it on every address. Its ports are also among those that the kernel gives to outgoing
connections: where one of them is taken, `Monitor.start()` waits for a thread that ended, for ever, and
the service with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from multiprocessing import spawn
from types import ModuleType
from typing import Any

MODULE = "aiomonitor"


def install() -> None:
    """Have no monitor of this process listen, nor of those it forks or spawns."""
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
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            _wrap(spec.loader)
        return spec


def _wrap(loader: Any) -> None:
    """Have the module's loader change it once it is executed; the loader keeps its type."""
    execute = loader.exec_module

    def and_close(module: ModuleType) -> None:
        execute(module)
        keep_closed(module)

    loader.exec_module = and_close


def keep_closed(module: Any) -> None:
    """Have monitors be made and configured as ever, but neither start nor stop."""
    module.Monitor.start = module.Monitor.close = lambda _self: None
