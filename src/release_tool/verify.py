"""Check a bundle in place: its signature first, then every file against the signed manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bootstrap.progress import Progress
from release_tool.bundle import Bundle
from release_tool.layout import KEYRING, MANIFEST, SIGNATURE
from release_tool.signature import Signed, check_signature, spaced
from releasekit.errors import Failure

_SHOWN = 10


@dataclass(frozen=True)
class Verdict:
    """A bundle that is right. `files` and `size` (bytes) are what was hashed."""

    signed: Signed
    files: int
    size: int


def verify(bundle: Bundle, fingerprint: str = "", keyring: bytes | None = None) -> Verdict:
    """Failure that names what is wrong, unless everything is right.

    `fingerprint`: the key that must have signed; empty for any of the key ring. `keyring`: keys to
    check against; by default those that the bundle itself brings.
    """
    signed = check_signer(bundle, fingerprint, keyring)
    wrong = list(_differences(bundle))
    if wrong:
        more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise Failure(
            f"{bundle.path} is not what was signed:\n  " + "\n  ".join(wrong[:_SHOWN]) + more,
            hint="do not use it; copy it again from where the release was published",
        )
    size = sum(bundle.places[path].size for path in bundle.manifest)
    return Verdict(signed, len(bundle.manifest), size)


def check_signer(bundle: Bundle, fingerprint: str = "", keyring: bytes | None = None) -> Signed:
    """Who signed the manifest; Failure when the signature is bad or of another key."""
    keys = bundle.read(KEYRING) if keyring is None else keyring
    data, signature = bundle.read(MANIFEST), bundle.read(SIGNATURE)
    signed = check_signature(data, signature, keys, f"{bundle.path}: MANIFEST")
    check_fingerprint(signed, fingerprint, str(bundle.path))
    if bundle.facts["fingerprint"].upper() != signed.fingerprint:
        raise Failure(
            f"{bundle.path}: RELEASE names the key {spaced(bundle.facts['fingerprint'].upper())}, "
            f"but {spaced(signed.fingerprint)} signed it",
            hint="do not use it",
        )
    return signed


def check_fingerprint(signed: Signed, wanted: str, what: str) -> None:
    """Failure unless the wanted key signed; an empty `wanted` allows all."""
    if wanted and wanted != signed.fingerprint:
        raise Failure(
            f"{what}: signed by {spaced(signed.fingerprint)}, not by {spaced(wanted)}",
            hint="do not use it, unless the publisher tells you of this new key by another way",
        )


def _differences(bundle: Bundle) -> list[str]:
    expected = {MANIFEST, SIGNATURE, *bundle.manifest}
    wrong = [f"unexpected file: {path}" for path in sorted({*bundle.places} - expected)]
    missing = {path for path in bundle.manifest if path not in bundle.places}
    wrong += [f"missing file: {path}" for path in sorted(missing)]
    there = [path for path in bundle.manifest if path not in missing]
    total = sum(bundle.places[path].size for path in there)
    progress = Progress("checking", len(there), total)
    for path in sorted(there, key=lambda path: bundle.places[path].offset):
        digest = hashlib.sha256()
        for block in bundle.places[path].blocks():
            digest.update(block)
            progress.add(0, len(block))
        progress.add(1, 0)
        if digest.hexdigest() != bundle.manifest[path]:
            wrong.append(f"changed file: {path}")
    progress.end()
    return wrong
