"""Folders that any host has: no volume of a site is one of them, whatever lies in it."""

from __future__ import annotations

from pathlib import Path


def _paths(names: str) -> frozenset[Path]:
    return frozenset(Path("/", name) for name in names.split())


# Programs, their libraries and their settings lie in these.
OF_PROGRAMS = _paths(
    "/ bin dev etc home lib lib64 opt proc root run sbin sys tmp usr usr/lib usr/local usr/share var var/lib"
)
TOP = _paths("boot media mnt srv") | {path for path in OF_PROGRAMS if path.parent == Path("/")}
