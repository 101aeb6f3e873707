from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import unsigned_bundle

from devtools.keyed import differences
from release_tool.bundle import Bundle


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bundle(folder: Path, signature: str, library: str = "good", number: int = 1) -> Bundle:
    """One rpm with a signature, and the documents that name its digest."""
    rpm, ring = f"rpm {signature}".encode(), f"key {signature}".encode()
    part = {
        "serialNumber": signature,
        "components": [{"name": "library", "hash": digest(library.encode())}],
        "rpm": digest(rpm),
    }
    own = json.dumps(part).encode()
    origin = {"invocationId": signature, "subject": [digest(own), digest(rpm), digest(ring)]}
    packages = (
        f"Package: backendai-archive-keyring\nSize: {len(signature)}\nSHA256: {digest(ring)}\n\n"
        "Package: backendai-ctl\nSize: 3\n"
    )
    head = unsigned_bundle.RELEASE.format(
        number=number, key=digest(ring)[:40].upper(), size=len(signature)
    )
    files: Mapping[str, bytes] = {
        "RELEASE": head.encode(),
        "apt/dists/stable/main/binary-amd64/Packages": packages.encode(),
        "apt/pool/main/backendai-archive-keyring_1_all.deb": ring,
        "rpm/packages/x.rpm": rpm,
        "sbom/packages/x.cdx.json": own,
        "provenance/release.intoto.json": json.dumps(origin).encode(),
    }
    return unsigned_bundle.write(folder, files)


ACCEPTED = ("x.rpm", "backendai-archive-keyring_1_all.deb")


def test_other_keys_are_no_difference(tmp_path: Path) -> None:
    shipped, built = bundle(tmp_path / "a", "theirs"), bundle(tmp_path / "b", "of ours")
    found = dict(differences(shipped, built, ACCEPTED, {}))
    assert len(found) == 4 and not any(found.values()), found


def test_a_signed_package_that_is_another_is_one_in_all_that_name_it(tmp_path: Path) -> None:
    shipped, built = bundle(tmp_path / "a", "theirs"), bundle(tmp_path / "b", "ours")
    found = dict(differences(shipped, built, ACCEPTED[1:], {}))
    assert {path for path, lines in found.items() if lines} == {
        "sbom/packages/x.cdx.json",
        "provenance/release.intoto.json",
    }


@pytest.mark.parametrize(
    ("change", "path"),
    [({"library": "evil"}, "sbom/packages/x.cdx.json"), ({"number": 2}, "RELEASE")],
)
def test_what_no_key_explains_is_shown(
    tmp_path: Path, change: dict[str, object], path: str
) -> None:
    shipped = bundle(tmp_path / "a", "theirs", **change)  # type: ignore[arg-type]
    found = dict(differences(shipped, bundle(tmp_path / "b", "ours"), ACCEPTED, {}))
    assert found[path][:2] == ["--- shipped", "+++ built"]
    said = "\n".join(found[path])
    assert ("number=2" in said) if path == "RELEASE" else (digest(b"evil") in said)


def test_a_document_that_one_lacks_is_told(tmp_path: Path) -> None:
    shipped, built = bundle(tmp_path / "a", "theirs"), bundle(tmp_path / "b", "ours")
    del shipped.manifest["sbom/packages/x.cdx.json"]
    found = dict(differences(shipped, built, ACCEPTED, {}))
    assert found["sbom/packages/x.cdx.json"] == ["only built"]
