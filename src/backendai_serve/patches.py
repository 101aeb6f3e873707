"""Changes modules of upstream's wheels when a service imports them.

Wheels enter a release as upstream released them. What a site must not have otherwise is changed here,
in the process of the service: `TABLE` names each module and the module of ours that changes it. That
one has, by the name of upstream's module,

    SOURCES   functions from its source text to the one that is run instead
    EXECUTED  functions that are called with the module once it is executed

A module that is not as expected ends the start of the service: running it unchanged would open what
is believed closed. Modules of ours are imported only where they are needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from multiprocessing import spawn
from types import CodeType, ModuleType
from typing import Any

TABLE: Mapping[str, str] = {
    "aiomonitor": "monitors",
    "ai.backend.agent.agent": "batch",
    "ai.backend.agent.docker.agent": "session_files",
    "ai.backend.agent.docker.kernel": "krunner",
    "ai.backend.agent.kernel": "batch",
    "ai.backend.agent.kernel_registry.types": "batch",
    "ai.backend.agent.plugin.network": "clusters",
    "ai.backend.agent.resources": "shares",
    "ai.backend.common.clients.valkey_client.client": "cache",
    "ai.backend.common.etcd": "logins",
    "ai.backend.common.health_checker.probe": "probes",
    "ai.backend.common.identity": "clouds",
    "ai.backend.common.msgpack": "pickles",
    "ai.backend.logging.logger": "pickles",
    "ai.backend.appproxy.coordinator.api.proxy": "tunnels",
    "ai.backend.appproxy.coordinator.server": "tunnels",
    "ai.backend.appproxy.coordinator.api.health": "inquiries",
    "ai.backend.appproxy.worker.server": "inquiries",
    "ai.backend.appproxy.worker.api.health": "inquiries",
    "ai.backend.appproxy.worker.proxy.backend.http": "apps",
    "ai.backend.appproxy.worker.proxy.backend.tcp": "tunnels",
    "ai.backend.appproxy.worker.proxy.frontend.http.base": "apps",
    "ai.backend.appproxy.worker.proxy.frontend.tcp": "tunnels",
    "ai.backend.manager.actions.v2.single_entity.validator.rbac": "rights",
    "ai.backend.manager.api.gql_legacy.scaling_group": "tokens",
    "ai.backend.manager.clients.appproxy.client": "tokens",
    "ai.backend.manager.dependencies.infrastructure.redis": "cache",
    "ai.backend.manager.idle": "idleness",
    "ai.backend.manager.plugin.network": "clusters",
    "ai.backend.manager.repositories.ops.v2.user.write": "members",
    "ai.backend.manager.services.session.service": "tokens",
    "ai.backend.manager.sokovan.scheduler.launcher.launcher": "clusters",
    "ai.backend.web.server": "web",
}


class Unfit(Exception):
    """A module of upstream is not the one that is to be changed."""

    def __init__(self, module: str, what: str) -> None:
        super().__init__(
            f"{module}: {what}; it must be changed before a service may run it\n"
            "hint: install all Backend.AI packages from one release"
        )


def install() -> None:
    """Change what this process imports from now on, and what those import that it forks or spawns."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    spawn.get_command_line = _installing(spawn.get_command_line)


def part(owner: Any, name: str) -> Any:
    """What a module or a class has by this name. Raises Unfit."""
    found = getattr(owner, name, None)
    if found is None:
        module = getattr(owner, "__module__", owner.__name__)
        raise Unfit(module, f"{owner.__name__} has no {name}")
    return found


def exchanged(module: str, text: str, old: str, new: str) -> str:
    """`text` with `new` for `old`, which is in it exactly once. Raises Unfit."""
    count = text.count(old)
    if count != 1:
        line = old.strip().splitlines()[0]
        raise Unfit(module, f"its source has {count} times instead of once: {line}")
    return text.replace(old, new)


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
        ours = TABLE.get(fullname)
        if ours is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            _wrap(spec.loader, fullname, import_module(f"backendai_serve.{ours}"))
        return spec


def _wrap(loader: Any, name: str, ours: Any) -> None:
    """Have the module's loader run what is changed; the loader keeps its type."""
    source: Callable[[str], str] | None = getattr(ours, "SOURCES", {}).get(name)
    executed: Callable[[ModuleType], None] | None = getattr(ours, "EXECUTED", {}).get(name)
    execute = loader.exec_module

    def code(fullname: str) -> CodeType:
        text = loader.get_source(fullname)
        if text is None or source is None:
            raise Unfit(fullname, "its source is not installed")
        changed: CodeType = compile(
            source(text), loader.get_filename(fullname), "exec", dont_inherit=True
        )
        return changed

    def and_change(module: ModuleType) -> None:
        execute(module)
        if executed:
            executed(module)

    if source is not None:
        loader.get_code = code
    loader.exec_module = and_change
