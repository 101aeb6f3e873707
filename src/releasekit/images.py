"""Make the OCI image layout of all images: `python -m releasekit.images SPEC`.

SPEC is a JSON file (see `ImagesSpec`). Written to the folder IMAGES: blobs by their sha256, which images
share, and `index.json` with a manifest for each image under its name, as any tool for containers reads it.
Format: OCI image specification 1.1.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from releasekit.errors import run_main
from releasekit.image_layer import FACTS, LAYER, LayerFacts
from releasekit.specs import program, read

IMAGES = "images"
_TYPE = "application/vnd.oci.image.{}+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_NAME = "org.opencontainers.image.ref.name"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """`name`: REPOSITORY:TAG; layers: folders of the sandbox, lowest first."""

    name: str
    summary: str
    layers: list[str]
    labels: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImagesSpec:
    """The images of a release."""

    images: list[Image]


def config_of(image: Image, layers: list[LayerFacts]) -> dict[str, Any]:
    """The image's configuration. It has no date, so the same contents are the same image in every release."""
    environment = {"PATH": _PATH, "LANG": "C.UTF-8", **image.environment}
    labels = {"org.opencontainers.image.title": image.summary, **image.labels}
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": [f"{key}={value}" for key, value in environment.items()],
            "Cmd": ["/bin/bash"],
            "WorkingDir": "/home/work",
            "Labels": dict(sorted(labels.items())),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            {"created_by": f"backendai: {name}"} for name in map(os.path.basename, image.layers)
        ],
    }


def manifest_of(config: dict[str, Any], layers: list[LayerFacts]) -> dict[str, Any]:
    """The manifest; `config`: the descriptor of the configuration."""
    return {
        "schemaVersion": 2,
        "mediaType": _TYPE.format("manifest.v1"),
        "config": config,
        "layers": [
            {"mediaType": _LAYER_TYPE, "digest": layer.digest, "size": layer.size}
            for layer in layers
        ],
    }


@dataclass(frozen=True)
class Layout:
    """The folder that is written."""

    root: Path

    def document(self, data: dict[str, Any], kind: str) -> dict[str, Any]:
        """Write JSON as a blob; return its descriptor."""
        text = json.dumps(data, indent=1).encode()
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        self.blob(digest).write_bytes(text)
        return {"mediaType": _TYPE.format(kind), "digest": digest, "size": len(text)}

    def blob(self, digest: str) -> Path:
        """Where a blob is; its folder is made."""
        path = self.root / "blobs" / digest.replace(":", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, image: Image) -> dict[str, Any]:
        """Write an image; return its row in the index."""
        layers = []
        for folder in image.layers:
            facts = read(LayerFacts, Path(folder, FACTS))
            if not (target := self.blob(facts.digest)).exists():
                shutil.copyfile(Path(folder, LAYER), target)
            layers.append(facts)
        config = self.document(config_of(image, layers), "config.v1")
        manifest = self.document(manifest_of(config, layers), "manifest.v1")
        platform = {"architecture": "amd64", "os": "linux"}
        return {**manifest, "platform": platform, "annotations": {_NAME: image.name}}


def make(spec: ImagesSpec) -> None:
    """Write the layout to the working folder."""
    layout = Layout(Path(IMAGES))
    layout.root.mkdir(exist_ok=True)
    rows = [layout.add(image) for image in sorted(spec.images, key=lambda one: one.name)]
    index = {"schemaVersion": 2, "mediaType": _TYPE.format("index.v1"), "manifests": rows}
    (layout.root / "index.json").write_text(json.dumps(index, indent=1) + "\n", "ascii")
    (layout.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n', "ascii")


main = program(ImagesSpec, make)


if __name__ == "__main__":
    run_main(main)
