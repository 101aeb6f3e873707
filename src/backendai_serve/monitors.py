"""Keeps upstream's debug monitors closed.

aiomonitor shows and cancels the tasks of a service without asking who is there, and the app proxy's
worker has it on every address. Its ports are also among those that the kernel gives to outgoing
connections: where one of them is taken, `Monitor.start()` waits for a thread that ended, for ever, and
the service with it.
"""

from __future__ import annotations

from types import ModuleType

from backendai_serve.patches import part


def keep_closed(module: ModuleType) -> None:
    """Have monitors be made and configured as ever, but neither start nor stop."""
    monitor = part(module, "Monitor")
    for name in ("start", "close"):
        part(monitor, name)
        setattr(monitor, name, lambda _self: None)


EXECUTED = {"aiomonitor": keep_closed}
