"""Addresses of names, with a timeout: a DNS server that is away lets callers wait for half a minute."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import partial

from backendai_ctl.platform.together import together

TIMEOUT = 5.0  # seconds


def resolve(name: str) -> list[str]:
    """Addresses of a name; none if it has none, or its DNS server does not answer in time."""
    return resolve_all([name])[name]


def resolve_all(names: Iterable[str]) -> dict[str, list[str]]:
    """As `resolve`, of several at once."""
    none: list[str] = []
    return together({name: partial(_look, name) for name in names}, timeout=TIMEOUT, late=none)


def _look(name: str) -> list[str]:
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows))
