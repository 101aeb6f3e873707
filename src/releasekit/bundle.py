"""Make the offline bundle: `python -m releasekit.bundle SPEC`.

SPEC is a JSON file (see `BundleSpec`). The sandbox holds the parts of the bundle below `bundle/NAME/`.
This adds what says what the bundle is (RELEASE), its keys, the sha256 of every file (MANIFEST) and the
one signature of it (MANIFEST.sig), and writes the tar and a signature of all its bytes (NAME.tar.sig), by
which it is checked before anything in it is read. Files are streamed: none is held in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from releasekit.errors import Failure, run_main
from releasekit.files import sha256_of
from releasekit.specs import program
from releasekit.tarball import pack

FOLDER = "bundle"  # of the sandbox, above NAME
MANIFEST, SIGNATURE, RELEASE = "MANIFEST", "MANIFEST.sig", "RELEASE"
KEYRING = "keys/backendai-archive-keyring"
FORMAT = 1
# What verify.sh takes for the name of a file or folder: nothing that a shell, a terminal or
# `sha256sum -c` could take for something else.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_+~@%,:=][A-Za-z0-9._+~@%,:=-]*\Z")


class Signs(Protocol):
    """What of releasekit.signing's Signer is needed."""

    def detach(self, data: bytes, *, armor: bool) -> bytes: ...

    def public_key(self, *, armor: bool) -> bytes: ...


@dataclass(frozen=True)
class BundleSpec:
    """What RELEASE says, and `mtime`, the time stamp of every entry (seconds since the epoch)."""

    version: str  # with the revision: 26.9.6-1
    number: int  # rises with every release
    date: str  # YYYY-MM-DD
    distribution: str  # for which hosts: linux, or deb or rpm alone
    architecture: str
    mtime: int
    product: str = "backendai"
    account: str = ""  # NAME:UID:GID:HOME of the services' user, which hosts must have room for
    own_accounts: str = ""  # NAME:HOME of each that a service has for itself, with spaces between

    @property
    def name(self) -> str:
        """Of the one folder in the tar, and of the tar without its ending."""
        return f"{self.product}-{self.version}-{self.distribution}-{self.architecture}"


def files_of(root: Path) -> dict[str, Path]:
    """Every file below `root` by its path there, sorted bytewise; Failure for what cannot be shipped."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if not all(PLAIN_NAME.match(part) for part in name.split("/")):
            raise Failure(
                f"{name!r} cannot be in a bundle: its name has a character that is not plain",
                hint="letters, digits and ._+~@%,:=- are; rename it where it is made",
            )
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise Failure(
                f"{name} cannot be in a bundle: it is not a regular file",
                hint="ship the file itself; verify.sh refuses links",
            )
        if path.is_file():
            found[name] = path
    return dict(sorted(found.items(), key=lambda item: item[0].encode()))


def release_text(spec: BundleSpec, *, kind: str, fingerprint: str, unpacked: int) -> str:
    """RELEASE: lines of key=value without quotes. `unpacked` is in bytes, of all files but
    RELEASE, MANIFEST and MANIFEST.sig; `kind` is `local` or `given`."""
    rows = {
        "format": FORMAT,
        "name": spec.product,
        "version": spec.version,
        "number": spec.number,
        "date": spec.date,
        "distribution": spec.distribution,
        "architecture": spec.architecture,
        "account": spec.account,
        "own_accounts": spec.own_accounts,
        "key": kind,
        "fingerprint": fingerprint.upper(),
        "unpacked": unpacked,
    }
    return "".join(f"{key}={value}\n" for key, value in rows.items())


def manifest_text(files: Mapping[str, Path]) -> str:
    """MANIFEST: what `sha256sum` prints for these files, in their order."""
    return "".join(f"{sha256_of(path)}  {name}\n" for name, path in files.items())


def complete(root: Path, spec: BundleSpec, signer: Signs, *, kind: str, fingerprint: str) -> None:
    """Add keys, RELEASE, MANIFEST and its signature to the parts below `root`."""
    for name in (RELEASE, MANIFEST, SIGNATURE):
        if (root / name).exists():
            raise Failure(
                f"{name} is among the parts of the bundle, which makes it itself",
                hint="give that file another name in the BUILD file",
            )
    for ending, armor in (("gpg", False), ("asc", True)):
        key = root / f"{KEYRING}.{ending}"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(signer.public_key(armor=armor))
    size = sum(path.stat().st_size for path in files_of(root).values())
    text = release_text(spec, kind=kind, fingerprint=fingerprint, unpacked=size)
    (root / RELEASE).write_text(text, encoding="ascii")
    manifest = manifest_text(files_of(root)).encode("ascii")
    (root / MANIFEST).write_bytes(manifest)
    (root / SIGNATURE).write_bytes(signer.detach(manifest, armor=False))


def make(spec: BundleSpec) -> None:
    """Complete the parts below FOLDER, pack them and sign the tar, with the key of the build."""
    from releasekit.signing import Signer

    signer = Signer.from_environment()
    root = Path(FOLDER, spec.name)
    root.mkdir(parents=True, exist_ok=True)
    complete(root, spec, signer, kind=signer.kind, fingerprint=signer.fingerprint)
    tar = Path(f"{spec.name}.tar")
    pack(Path(FOLDER), tar, mtime=spec.mtime)
    Path(f"{tar}.sig").write_bytes(signer.detach_file(tar))


main = program(BundleSpec, make)


if __name__ == "__main__":
    run_main(main)
