"""Keeps upstream's debug monitors closed.

aiomonitor shows and cancels the tasks of a service without asking who is there, and the app proxy's
worker has it on every address. Its ports are also among those that the kernel gives to outgoing
connections: where one of them is taken, `Monitor.start()` waits for a thread that ended, for ever, and
the service with it.
"""

from __future__ import annotations

from typing import Any


def keep_closed(module: Any) -> None:
    """Have monitors be made and configured as ever, but neither start nor stop."""
    module.Monitor.start = module.Monitor.close = lambda _self: None
