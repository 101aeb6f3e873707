"""The registry of images that are loaded into this site's own Docker engines."""

from __future__ import annotations

import uuid
from typing import Any

NAME = "local"
PROJECT = "stable"  # its images are named stable/...


def row() -> dict[str, Any]:
    """Its row in `container_registries`; always of the same id, so that it is added once."""
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"backendai:registry/{NAME}/{PROJECT}")),
        "registry_name": NAME,
        "project": PROJECT,
        "url": "http://localhost",
        "type": "local",
    }
