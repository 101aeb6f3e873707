"""Bundles for tests of what reads them: a folder with a manifest, which nobody signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from release_tool.bundle import Bundle

RELEASE = (
    "format=1\nname=backendai\nversion=1-1\nnumber={number}\ndate=2026-01-01\n"
    "distribution=linux\narchitecture=amd64\nkey=local\nfingerprint={key}\nunpacked={size}\n"
)


def write(folder: Path, files: Mapping[str, bytes]) -> Bundle:
    """The files, which have RELEASE among them, and a manifest of them."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    (folder / "MANIFEST").write_text("".join(sums))
    (folder / "MANIFEST.sig").write_bytes(b"-")
    return Bundle(folder)
