"""Images in folders as the OCI image specification lays them out: of a bundle, or of the operator's.

An index names manifests, a manifest names blobs, all by their sha256; what does not fit is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.platform import careful

KINDS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
NAME = "org.opencontainers.image.ref.name"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
MOST = 4 << 20  # bytes of a manifest or an index
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
    kept = ctx.paths.state / "bundles"
    names = f"backendai-{ctx.facts.full_version}-*-amd64/images"  # one that is being copied ends otherwise
    return next(iter(sorted(kept.glob(names))), kept / "images")


def read(folder: Path) -> list[Image]:
    """The images of a layout; none where there is no such folder. Problem for one that is none."""
    index = folder / "index.json"
    if not index.exists():
        return []
    try:
        return [_image(folder, row, index) for row in _parsed(_read(index), index)["manifests"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Problem(
            f"{index}: not as the OCI image specification has it: {type(error).__name__}: {error}",
            hint="get the images again",
        ) from error


def check(image: Image) -> None:
    """Raise Problem unless each blob is a regular file of its size; `verified` looks at its content."""
    for blob in image.blobs:
        try:
            found = blob.path.lstat()
        except OSError:
            raise _damaged(blob.path) from None
        if not stat.S_ISREG(found.st_mode) or found.st_size != blob.size:
            raise _damaged(blob.path)


def verified(blob: Blob) -> Iterator[bytes]:
    """The content of a blob, in pieces; Problem at its end if it is another one than its name says."""
    digest = hashlib.sha256()
    with open(os.open(blob.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
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
    digest, kind = str(row.get("digest", "")), str(row.get("mediaType", ""))
    if kind not in KINDS:
        raise Problem(
            f"{index}: {name} is no image of one platform, but {kind or 'of no kind that is named'}",
            hint="copy one platform: skopeo copy without --all",
        )
    path = _path(folder, digest)
    text = _read(path)
    if f"sha256:{hashlib.sha256(text).hexdigest()}" != digest:
        raise _damaged(path)
    manifest = _parsed(text, path)
    blobs = [
        Blob(str(one["digest"]), int(one["size"]), _path(folder, str(one["digest"])))
        for one in (manifest["config"], *manifest["layers"])
    ]
    return Image(name, digest, kind, text, blobs[0].digest, tuple(dict.fromkeys(blobs)))


def _path(folder: Path, digest: str) -> Path:
    if not DIGEST.fullmatch(digest):
        raise Problem(f"{folder}: {digest!r} is not a sha256 digest", hint="get the images again")
    return folder / "blobs" / digest.replace(":", "/")


def _read(path: Path) -> bytes:
    """What is in a regular file; a link or a pipe is none."""
    try:
        found = careful.read(path, MOST)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", hint="get the images again") from error
    if found is None:
        raise _damaged(path)
    return found


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(f"{path}: {error}", hint="get the images again") from error
    if not isinstance(data, dict):
        raise Problem(f"{path}: not a JSON object", hint="get the images again")
    return data


def _damaged(path: Path) -> Problem:
    return Problem(
        f"{path}: the blob is missing or damaged",
        hint="get the images again; those of a bundle: ./verify.sh, then ./install.sh",
    )
