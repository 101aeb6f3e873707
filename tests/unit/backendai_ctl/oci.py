"""Layouts of images as a release has them, made of a few bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

TYPE = "application/vnd.oci.image.manifest.v1+json"
NAME = "org.opencontainers.image.ref.name"


def layout(folder: Path, images: Mapping[str, Iterable[bytes]]) -> Path:
    """Images by name, with the content of their layers."""
    rows = []
    for name, layers in images.items():
        settings = json.dumps({"name": name}).encode()
        config = {"digest": blob(folder, settings), "size": len(settings)}
        found = [{"digest": blob(folder, data), "size": len(data)} for data in layers]
        text = json.dumps({"config": config, "layers": found}).encode()
        row = {"mediaType": TYPE, "digest": blob(folder, text), "size": len(text)}
        rows.append({**row, "annotations": {NAME: name}})
    (folder / "index.json").write_text(json.dumps({"manifests": rows}))
    return folder


def blob(folder: Path, data: bytes) -> str:
    number = hashlib.sha256(data).hexdigest()
    path = folder / "blobs/sha256" / number
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f"sha256:{number}"
