"""Keeps upstream's debug monitors on loopback.

aiomonitor shows and cancels tasks without asking who is there. The app proxy's worker binds its to
every address, and no setting changes that.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MODULE = "aiomonitor"
LOOPBACK = "127.0.0.1"


def install() -> None:
    """Have every monitor of this process and its forks listen on loopback only."""
    sys.meta_path.insert(0, _Finder())


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

    def and_bind(module: ModuleType) -> None:
        execute(module)
        bind_to_loopback(module)

    loader.exec_module = and_bind


def bind_to_loopback(module: Any) -> None:
    """Give `Monitor.__init__` the loopback address, whatever it is called with."""
    init = module.Monitor.__init__

    def on_loopback(self: Any, loop: Any, *args: Any, **options: Any) -> None:
        init(self, loop, *args, **{**options, "host": LOOPBACK})

    module.Monitor.__init__ = on_loopback
