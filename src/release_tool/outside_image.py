"""Images that somebody else made, as files bring them: an OCI image layout, or what `docker save` writes.

Whoever made them is not trusted. A layout is a folder or a tar, its blobs are checked by their names. Layers
are those of the image's configuration, which has the digests of their tars; one that is packed by zstd is
taken as it is, for Python cannot read it. Layers that are plain tars are packed.
Formats: OCI image specification 1.1, Docker image specification 1.2.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from releasekit.errors import Failure

NAME = "org.opencontainers.image.ref.name"
OCI = "application/vnd.oci.image.{}+json"
_MANIFESTS = (OCI.format("manifest.v1"), "application/vnd.docker.distribution.manifest.v2+json")
_INDEXES = (OCI.format("index.v1"), "application/vnd.docker.distribution.manifest.list.v2+json")
_PLAIN = "application/vnd.oci.image.layer.v1.tar"
_PACKED = f"{_PLAIN}+gzip"
_GZIPPED = (_PACKED, "application/vnd.docker.image.rootfs.diff.tar.gzip")
_LAYERS = (_PLAIN, *_GZIPPED, f"{_PLAIN}+zstd")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SMALL = 4 << 20  # bytes of JSON, which hosts read whole as well
_BLOCK = 1 << 20
_HINT = "make it again: docker save -o FILE IMAGE, or skopeo copy docker://... oci:FOLDER:NAME:TAG"


@dataclass(frozen=True)
class Blob:
    """A file of an image, by its name in a layout."""

    digest: str
    path: Path


@dataclass(frozen=True)
class Image:
    """`name`: as its file says, or empty; `config` and `layers` (descriptors) as they are for a manifest."""

    name: str
    config: dict[str, Any]
    layers: list[dict[str, Any]]
    blobs: tuple[Blob, ...]


def read_image(path: Path, scratch: Path) -> Image:
    """The one image in a file or folder; what has to be unpacked is put into the folder `scratch`.

    Failure for none, for several, for one of another platform, and for a blob that is damaged.
    """
    try:
        return _read(path, scratch)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise Failure(f"{path}: an image is not described so: {what!r}", hint=_HINT) from None


def _read(path: Path, scratch: Path) -> Image:
    files = _folder(path) if path.is_dir() else _tar(path, scratch)
    if "index.json" in files:
        found = _of_layout(path, files, scratch)
    elif "manifest.json" in files:
        found = _of_archive(path, files, scratch)
    else:
        raise Failure(
            f"{path} is not an image: neither index.json nor manifest.json in it", hint=_HINT
        )
    config = found.config
    platform = f"{config.get('os')}/{config.get('architecture')}"
    if platform != "linux/amd64":
        raise Failure(f"{path}: the image is for {platform!r}", hint="take that for linux/amd64")
    labels = (config.get("config") or {}).get("Labels") or {}
    if not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("a label that is no text")
    return found


def digest_of(blocks: Iterator[bytes]) -> str:
    """Its name in a layout."""
    sha256 = hashlib.sha256()
    for block in blocks:
        sha256.update(block)
    return f"sha256:{sha256.hexdigest()}"


def blocks_of(path: Path) -> Iterator[bytes]:
    """Its content, in blocks of at most 1 MiB."""
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(_BLOCK), b"")


def _folder(path: Path) -> dict[str, Path]:
    return {
        file.relative_to(path).as_posix(): file
        for file in path.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def _tar(path: Path, scratch: Path) -> dict[str, Path]:
    """Regular files of a tar, under names of our own; a link leads to the file that it names in the tar."""
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    try:
        # None that is packed, nor one with holes: of what is plain, as much comes out as went in.
        with tarfile.open(path, "r:") as tar:
            for number, info in enumerate(tar):
                name = posixpath.normpath(info.name)
                if info.issym():
                    links[name] = posixpath.normpath(
                        posixpath.join(posixpath.dirname(name), info.linkname)
                    )
                elif info.islnk():
                    links[name] = posixpath.normpath(info.linkname)
                elif info.issparse():
                    raise tarfile.TarError("a file with holes in it")
                elif info.isfile() and (data := tar.extractfile(info)):
                    files[name] = scratch / f"file-{number}"
                    with data, files[name].open("wb") as out:
                        for block in iter(lambda: data.read(_BLOCK), b""):
                            out.write(block)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's, not the file's
            raise
        raise Failure(
            f"{path} is not an image, is packed, or is cut short: {error}", hint=_HINT
        ) from None
    return {**{name: files[to] for name, to in links.items() if to in files}, **files}


def _of_layout(path: Path, files: Mapping[str, Path], scratch: Path) -> Image:
    row = _one(path, files, _json(path, files.get("index.json"), "index.json").get("manifests"))
    manifest = _json(path, _checked(path, files, row).path, "its manifest")
    config, layers = manifest["config"], [dict(layer) for layer in manifest["layers"]]
    blobs = [_checked(path, files, one) for one in (config, *layers)]
    for layer in layers:
        if layer.get("mediaType") not in _LAYERS:
            raise Failure(
                f"{path}: a layer of the kind {layer.get('mediaType')!r}, which registries do not keep",
                hint="take an image all of whose layers are in its file",
            )
    notes = row.get("annotations") or {}
    name = str(notes.get("io.containerd.image.name") or notes.get(NAME) or "")
    whole = _json(path, blobs[0].path, "its configuration")
    parts = [
        _packed(path, blob.path, tar, scratch / f"layer-{number}")
        if layer["mediaType"] == _PLAIN
        else _as_it_is(path, layer["mediaType"], blob, tar)
        for number, (layer, blob, tar) in enumerate(
            zip(layers, blobs[1:], _tars(path, whole, len(layers)))
        )
    ]
    return _image(name, whole, parts)


def _tars(path: Path, config: Mapping[str, Any], count: int) -> list[str]:
    """Digests of the layers' tars, by the image's configuration."""
    digests = [str(digest) for digest in config["rootfs"]["diff_ids"]]
    if len(digests) != count:
        raise Failure(f"{path}: {count} layers, not {len(digests)}", hint=_HINT)
    return digests


def _as_it_is(path: Path, kind: str, blob: Blob, wanted: str) -> tuple[str, Blob]:
    """A packed layer; Failure if its tar can be read and is not the one that the image means."""
    if kind in _GZIPPED:
        try:
            with gzip.open(blob.path) as tar:
                found = digest_of(iter(lambda: tar.read(_BLOCK), b""))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Failure(
                f"{path}: {blob.digest} is not packed by gzip: {error}", hint=_HINT
            ) from None
        if found != wanted:
            raise Failure(
                f"{path}: {blob.digest} is not the layer {wanted!r} of its image", hint=_HINT
            )
    return kind, blob


def _image(name: str, config: dict[str, Any], parts: list[tuple[str, Blob]]) -> Image:
    layers = [
        {"mediaType": kind, "digest": blob.digest, "size": blob.path.stat().st_size}
        for kind, blob in parts
    ]
    return Image(name, config, layers, tuple(blob for _, blob in parts))


def _one(path: Path, files: Mapping[str, Path], rows: Any) -> dict[str, Any]:
    """The descriptor of the one image for linux/amd64 in an index, or in an index in it."""
    found = [row for row in rows or () if isinstance(row, dict) and _fits(row)]
    if len(found) != 1:
        raise Failure(
            f"{path}: {len(found) or 'no'} images for linux/amd64 in it, not one",
            hint="one image a file; docker save and skopeo copy take its name",
        )
    (row,) = found
    if row.get("mediaType") in _INDEXES:
        inner = _json(path, _checked(path, files, row).path, "an index in it")
        notes = row.get("annotations") or {}
        return {**_one(path, files, inner.get("manifests")), "annotations": notes}
    return row


def _fits(row: Mapping[str, Any]) -> bool:
    platform = row.get("platform") or {"os": "linux", "architecture": "amd64"}
    if (platform.get("os"), platform.get("architecture")) != ("linux", "amd64"):
        return False
    return row.get("mediaType") in (*_MANIFESTS, *_INDEXES)


def _checked(path: Path, files: Mapping[str, Path], row: Mapping[str, Any]) -> Blob:
    """The blob of a descriptor; Failure unless its name and size are those of its content."""
    digest = str(row["digest"])
    file = files.get(f"blobs/{digest.replace(':', '/')}")
    if not _DIGEST.fullmatch(digest) or file is None:
        raise Failure(f"{path}: {digest!r} is not in it", hint=_HINT)
    if file.stat().st_size != row["size"] or digest_of(blocks_of(file)) != digest:
        raise Failure(f"{path}: {digest} is damaged", hint=_HINT)
    return Blob(digest, file)


def _of_archive(path: Path, files: Mapping[str, Path], scratch: Path) -> Image:
    rows: Any = json.loads(_text(path, files.get("manifest.json"), "manifest.json"))
    if len(rows) != 1:
        raise Failure(f"{path}: {len(rows)} images in it, not one", hint="one image a file")
    config = _json(path, files.get(str(rows[0]["Config"])), "its configuration")
    tars = [files[posixpath.normpath(name)] for name in rows[0]["Layers"]]
    name = str((rows[0].get("RepoTags") or [""])[0])
    parts = [
        _packed(path, tar, digest, scratch / f"layer-{number}")
        for number, (tar, digest) in enumerate(zip(tars, _tars(path, config, len(tars))))
    ]
    return _image(name, config, parts)


def _packed(path: Path, tar: Path, wanted: str, target: Path) -> tuple[str, Blob]:
    """A layer, packed the same each time; Failure unless it is the one that the image means."""
    sha256 = hashlib.sha256()
    with target.open("wb") as out, _gzip(out) as packer:
        for block in blocks_of(tar):
            sha256.update(block)
            packer.write(block)
    if f"sha256:{sha256.hexdigest()}" != wanted:
        raise Failure(f"{path}: the layer {wanted!r} is damaged", hint=_HINT)
    return _PACKED, Blob(digest_of(blocks_of(target)), target)


def _gzip(out: BinaryIO) -> gzip.GzipFile:
    return gzip.GzipFile("", "wb", 6, out, mtime=0)


def _json(path: Path, file: Path | None, what: str) -> dict[str, Any]:
    data = json.loads(_text(path, file, what))
    if not isinstance(data, dict):
        raise ValueError(f"{what} is no object")
    return data


def _text(path: Path, file: Path | None, what: str) -> bytes:
    if file is None or file.stat().st_size > _SMALL:
        raise Failure(f"{path}: {what} is {'too large' if file else 'missing'}", hint=_HINT)
    return file.read_bytes()
