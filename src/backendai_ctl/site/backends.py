"""Backends of volumes beyond `vfs`: which there are, and the file with what one wants to know.

Most reach the file system's own servers by HTTP, with a user and a password: these are in a TOML file of
the operator's, not in the site file, which everybody may read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tomllib

from backendai_ctl.errors import Problem
from backendai_ctl.site.locate import syntax_error
from backendai_ctl.site.schema import Site, Volume

PLAIN = ("vfs", "cephfs")  # they need no options


def options(volume: Volume) -> dict[str, Any]:
    """What the volume's file says; {} without one. Problem naming the line if it is not usable."""
    path = volume.backend_options
    return _read(path) if path else {}


def fault(path: Path) -> str:
    """Why a file of options cannot be used; empty if it can. Nothing of its values is shown."""
    try:
        _read(path)
    except Problem as problem:
        return problem.message
    return ""


def hosts(site: Site) -> list[str]:
    """Hosts of the URLs among all options: the storage proxies call them."""
    found = {
        host
        for volume in site.storage.volumes.values()
        if volume.backend_options and not fault(volume.backend_options)
        for value in options(volume).values()
        if isinstance(value, str) and (host := _host(value))
    }
    return sorted(found)


def _host(value: str) -> str:
    try:
        parts = urlsplit(value)
        return parts.hostname or "" if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: {getattr(error, 'strerror', None) or 'is not text'}") from error
    if wrong := syntax_error(text):
        raise Problem(f"{path}:{wrong[0]}: not TOML: {wrong[1]}")
    found = tomllib.loads(text)
    for key, value in found.items():
        if not _usable(value):
            raise Problem(f"{path}: {key}: no backend accepts dates, inf and nan")
    return found


def _usable(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_usable, value.values()))
    if isinstance(value, list):
        return all(map(_usable, value))
    return isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))
