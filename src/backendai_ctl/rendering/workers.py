"""How many processes of a server share its work on this host."""

from __future__ import annotations

import os

from backendai_ctl.facts import Component

MOST = 4
_CORES = 4  # of the host, for each; the rest is for other services and sessions
_PART = 8  # of the host's memory: that much all of them take at most
CONNECTIONS = (
    72  # to its database: what one process has by upstream's defaults, kept open and at most
)
KEPT = 8  # of them, by each process


def gib() -> int:
    """This host's memory, in whole GiB, for kernels differ by some MiB."""
    return max(1, round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30))


def workers(component: Component) -> int:
    """At least one, and as many as cores and memory of this host bear."""
    by_memory = gib() * 1024 // _PART // component.resident
    return max(1, min((os.cpu_count() or 1) // _CORES, by_memory, MOST))


def more_connections(component: Component) -> int:
    """Connections that each process may open besides those it keeps: all have as many as one had alone."""
    return CONNECTIONS // workers(component) - KEPT
