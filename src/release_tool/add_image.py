"""Add images of somebody else to a bundle, and sign it anew by a key of the user's own gpg key ring.

All that the bundle had stays as it is, bit for bit, with the keys that signed it; what is new is that images
are in its layout, its bill of materials names them as outside ones, and RELEASE and MANIFEST fit.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.progress import say
from release_tool.archive import read
from release_tool.bundle import Bundle
from release_tool.layout import KEYRING, MANIFEST, RELEASE, SIGNATURE, Facts
from release_tool.outside_image import NAME, OCI, Image, blocks_of, digest_of, read_image
from release_tool.verify import verify
from releasekit.bundle import BundleSpec, complete
from releasekit.errors import Failure
from releasekit.signing import armored
from releasekit.tarball import pack, unpack

IMAGES, BILL = "images", "sbom/release.cdx.json"
PROJECT = "stable"  # the site's registry keeps no other (backendai_ctl/topology/registry.py)
ORIGIN = "backendai:origin"  # property of a component that was not built with the release
_REFERENCE = re.compile(
    rf"{PROJECT}/[a-z0-9]+(?:[._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}"
)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "backendai:added-image")


@dataclass(frozen=True)
class Key:
    """A key of the user's own gpg key ring, and the older public keys that a bundle brings."""

    name: str
    older: bytes = b""

    def detach(self, data: bytes, *, armor: bool) -> bytes:
        """A detached signature of `data`; gpg asks for the passphrase as it always does."""
        return self._gpg(["--detach-sign", *(["--armor"] if armor else [])], data, "sign")

    def detach_file(self, path: Path) -> bytes:
        """A detached signature of a file, which is not held in memory."""
        return self._gpg(["--detach-sign", str(path)], b"", "sign")

    def public_key(self, *, armor: bool) -> bytes:
        """It, then the older ones."""
        own = self._gpg(["--export", self.fingerprint()], b"", "be exported")
        keys = own + self.older.replace(own, b"")
        return armored(keys) if armor else keys

    def fingerprint(self) -> str:
        """Of the primary key: 40 hex digits."""
        said = self._gpg(["--with-colons", "--list-secret-keys", self.name], b"", "be found")
        rows = [line.split(":") for line in said.decode("utf-8", "replace").splitlines()]
        found = [row[9] for row in rows if row[0] == "fpr"]
        if not found:
            raise Failure(f"the key {self.name} is not here", hint=_KEYS)
        return found[0]

    def _gpg(self, words: Sequence[str], data: bytes, what: str) -> bytes:
        argv = ["gpg", "--quiet", "--yes", f"--local-user={self.name}", "--digest-algo=SHA512"]
        try:
            done = subprocess.run(
                [*argv, "--output=-", *words], input=data, stdout=subprocess.PIPE, check=False
            )
        except FileNotFoundError:
            raise Failure("gpg is not on this machine", hint="apt install gnupg") from None
        if done.returncode != 0 or not done.stdout:
            raise Failure(f"the key {self.name} could not {what}", hint=_KEYS)
        return done.stdout


_KEYS = "gpg --list-secret-keys shows your keys; name one that can sign"


def add_images(
    bundle: Bundle,
    images: Sequence[Path],
    target: Path,
    key: Key,
    *,
    name: str,
    labels: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Write the new bundle and its signature to `target`; rows that tell of each image that was added.

    `name`: of the one image, REPOSITORY:TAG; empty for the names in their files. `labels` are added to all.
    The bundle must have been verified, and be its tar.
    """
    archive = read(bundle.path)
    with tempfile.TemporaryDirectory(prefix=".add-image-", dir=target.parent) as scratch:
        top = Path(scratch, "tree")
        say(f"  unpack {bundle.path.name}")
        unpack(bundle.path, top)
        root = top / bundle.facts.folder
        added = []
        for number, path in enumerate(images):
            say(f"  add {path}")
            folder = Path(scratch, f"image-{number}")
            folder.mkdir()
            added.append(_put(root / IMAGES, read_image(path, folder), name, labels, path))
            shutil.rmtree(folder)
        _tell(root / BILL, added)
        for old in (RELEASE, MANIFEST, SIGNATURE):
            (root / old).unlink()
        signer = Key(key.name, (root / KEYRING).read_bytes())
        complete(
            root,
            _spec(bundle.facts, archive.mtime),
            signer,
            kind="given",
            fingerprint=key.fingerprint(),
        )
        whole = Path(scratch, "whole")
        say(f"  pack {target.name}")
        pack(top, whole, mtime=archive.mtime)
        signature = Path(scratch, "signature")
        signature.write_bytes(key.detach_file(whole))
        whole.replace(target)
        signature.replace(target.with_name(f"{target.name}.sig"))
    verify(Bundle(target), key.fingerprint())
    return added


def _put(
    layout: Path, image: Image, name: str, labels: Mapping[str, str], path: Path
) -> dict[str, Any]:
    """Put an image with these labels into the layout; what it is: name, digest, size in bytes, labels."""
    name = name or image.name
    if not _REFERENCE.fullmatch(name):
        raise Failure(
            f"{path}: {name or 'without a name'!r} is no name in the site's registry",
            hint=f"give it one: --name {PROJECT}/NAME:TAG",
        )
    rows = _rows(layout)
    if any((row.get("annotations") or {}).get(NAME) == name for row in rows):
        raise Failure(
            f"the bundle has an image {name} already", hint="give the new one another tag by --name"
        )
    config = dict(image.config)
    inner = dict(config.get("config") or {})
    inner["Labels"] = dict(sorted({**(inner.get("Labels") or {}), **labels}.items()))
    described = _document(layout, {**config, "config": inner}, "config.v1")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.format("manifest.v1"),
        "config": described,
        "layers": image.layers,
    }
    row = _document(layout, manifest, "manifest.v1")
    for blob in image.blobs:
        target = _blob(layout, blob.digest)
        if not target.exists():
            shutil.copyfile(blob.path, target)
            if digest_of(blocks_of(target)) != blob.digest:
                raise Failure(
                    f"{path}: {blob.digest} changed while it was copied", hint="run it again"
                )
    platform = {"architecture": "amd64", "os": "linux"}
    rows.append({**row, "platform": platform, "annotations": {NAME: name}})
    rows.sort(key=lambda one: str(one["annotations"][NAME]))
    index = {"schemaVersion": 2, "mediaType": OCI.format("index.v1"), "manifests": rows}
    (layout / "index.json").write_text(json.dumps(index, indent=1) + "\n", "ascii")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n', "ascii")
    size = described["size"] + sum(layer["size"] for layer in image.layers)
    return {"image": name, "digest": row["digest"], "size": size, "labels": inner["Labels"]}


def _rows(layout: Path) -> list[dict[str, Any]]:
    """Of the images that are there; none where the bundle has no layout."""
    index = layout / "index.json"
    return list(json.loads(index.read_text("utf-8"))["manifests"]) if index.exists() else []


def _document(layout: Path, data: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Write JSON as a blob; its descriptor."""
    text = json.dumps(data, indent=1).encode()
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    _blob(layout, digest).write_bytes(text)
    return {"mediaType": OCI.format(kind), "digest": digest, "size": len(text)}


def _blob(layout: Path, digest: str) -> Path:
    path = layout / "blobs" / digest.replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _tell(bill: Path, added: Sequence[Mapping[str, Any]]) -> None:
    """Name the images in the bill of materials, as outside ones: what is in them it does not know."""
    if not bill.exists():
        return
    data = json.loads(bill.read_text("utf-8"))
    for row in added:
        name, _, version = str(row["image"]).rpartition(":")
        data["components"].append(
            {
                "bom-ref": f"image:{row['image']}",
                "hashes": [{"alg": "SHA-256", "content": str(row["digest"]).partition(":")[2]}],
                "name": name,
                "properties": [{"name": ORIGIN, "value": "outside"}],
                "type": "container",
                "version": version,
            }
        )
    content = json.dumps([data["serialNumber"], [dict(row) for row in added]], sort_keys=True)
    data["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}"
    bill.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def _spec(facts: Facts, mtime: int) -> BundleSpec:
    return BundleSpec(
        version=facts["version"],
        number=facts.number,
        date=facts["date"],
        distribution=facts["distribution"],
        architecture=facts["architecture"],
        mtime=mtime,
        product=facts["name"],
        account=facts["account"],
        own_accounts=facts["own_accounts"],
    )
