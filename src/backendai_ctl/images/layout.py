"""Images in folders as the OCI image specification lays them out: of a bundle, or of the operator's.

An index names manifests, a manifest names blobs, all by their sha256; what does not fit is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem

NAME = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MOST = 4 << 20  # bytes of a manifest or an index
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A file of a layout; `size` in bytes."""

    digest: str
    size: int
    path: Path


@dataclass(frozen=True)
class Image:
    """An image by its name, REPOSITORY:TAG; `blobs`: its configuration and layers."""

    name: str
    digest: str  # of the manifest
    kind: str  # media type of the manifest
    manifest: bytes
    config: str  # digest of the configuration, by which the manager knows it
    blobs: tuple[Blob, ...]

    @property
    def repository(self) -> str:
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        return self.name.rpartition(":")[2]

    @property
    def size(self) -> int:
        """Bytes of all blobs, as they travel."""
        return sum(blob.size for blob in self.blobs)


def of_release(ctx: Context) -> Path:
    """Where the images of the installed release are, if its bundle was kept on this host."""
    found = sorted(
        (ctx.paths.state / "bundles").glob(f"backendai-{ctx.facts.full_version}-*/images")
    )
    return found[0] if found else ctx.paths.state / "bundles/images"


def read(folder: Path) -> list[Image]:
    """The images of a layout; none where there is no such folder. Problem for one that is not whole."""
    index = folder / "index.json"
    if not index.exists():
        return []
    rows = _parsed(_read(index), index).get("manifests", [])
    return [_image(folder, row, index) for row in rows]


def verified(blob: Blob) -> Iterator[bytes]:
    """The content of a blob, in pieces; Problem at its end if it is another one than its name says."""
    digest = hashlib.sha256()
    with blob.path.open("rb") as stream:
        while piece := stream.read(_BLOCK):
            digest.update(piece)
            yield piece
    if f"sha256:{digest.hexdigest()}" != blob.digest:
        raise _damaged(blob.path)


def _image(folder: Path, row: Mapping[str, Any], index: Path) -> Image:
    name = str((row.get("annotations") or {}).get(NAME, ""))
    if not _REFERENCE.fullmatch(name):
        raise Problem(
            f"{index}: an image has no usable name: {name!r}",
            hint=f"give it one: the annotation {NAME}, as in stable/python:3.13",
        )
    text = _read(_path(folder, str(row.get("digest", ""))))
    if f"sha256:{hashlib.sha256(text).hexdigest()}" != row["digest"]:
        raise _damaged(_path(folder, row["digest"]))
    manifest = _parsed(text, _path(folder, row["digest"]))
    rows = [manifest["config"], *manifest["layers"]]
    blobs = [Blob(one["digest"], int(one["size"]), _path(folder, one["digest"])) for one in rows]
    for blob in blobs:
        if not blob.path.is_file() or blob.path.stat().st_size != blob.size:
            raise _damaged(blob.path)
    kind = str(row.get("mediaType") or manifest.get("mediaType", ""))
    return Image(name, row["digest"], kind, text, blobs[0].digest, tuple(dict.fromkeys(blobs)))


def _path(folder: Path, digest: str) -> Path:
    if not _DIGEST.fullmatch(digest):
        raise Problem(f"{folder}: {digest!r} is no sha256 digest", hint="take the images anew")
    return folder / "blobs" / digest.replace(":", "/")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", hint="take the images anew") from error


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Problem(f"{path}: {error}", hint="take the images anew") from error
    if not isinstance(data, dict):
        raise Problem(f"{path}: it holds no object", hint="take the images anew")
    return data


def _damaged(path: Path) -> Problem:
    return Problem(
        f"{path}: the blob is missing or damaged",
        hint="take the images anew; those of a bundle: ./verify.sh, then ./install.sh",
    )
