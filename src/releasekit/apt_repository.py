"""The index of an apt repository: Packages, by-hash, Release, InRelease. `apt update` accepts it as it is.

The .deb files themselves stay where they are; the index says where they will be. Every byte follows
from them, the spec and the key. Format: Debian repository format, deb-control(5).
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path

from releasekit.debfile import control
from releasekit.errors import Failure, run_main
from releasekit.files import sha256_of
from releasekit.signing import Signer
from releasekit.specs import program

_OURS = ("Filename", "Size", "SHA256")  # fields that the index adds
_ARCHITECTURES = ("amd64", "all")
_COMPONENT = "main"


@dataclass(frozen=True)
class AptSpec:
    """`debs`: {path of a file: where it is in the repository}; `mtime`: seconds since the epoch."""

    debs: Mapping[str, str]
    output: str
    suite: str
    origin: str
    label: str
    version: str
    mtime: int


def stanza(fields: Mapping[str, str], filename: str, size: int, sha256: str) -> str:
    """What Packages says of one package: its control file, then where it is and what it must be."""
    rows = dict(zip(_OURS, (filename, str(size), sha256)))
    kept = {key: value for key, value in fields.items() if key not in rows}
    description = kept.pop("Description", "")
    whole = {**kept, **rows, "Description": description}
    text = "".join(f"{key}: {value}".replace("\n", "\n ") + "\n" for key, value in whole.items())
    return text.replace(": \n", ":\n")


def packages_text(debs: Mapping[str, str]) -> str:
    """The file Packages, ordered by name, then by place; Failure when one package comes twice."""
    found: dict[tuple[str, str, str], str] = {}
    for path, place in debs.items():
        file = Path(path)
        fields = control(file)
        key = (fields["Package"], fields["Version"], fields["Architecture"])
        if key[2] not in _ARCHITECTURES:
            raise Failure(f"{file.name} is for {key[2]}, this repository for amd64")
        if key in found:
            raise Failure(
                f"{' '.join(key)} is in the repository twice", hint="leave one of the targets out"
            )
        found[key] = stanza(fields, place, file.stat().st_size, sha256_of(file))
    return "\n".join(found[key] for key in sorted(found))


def release_text(spec: AptSpec, indexes: Iterable[tuple[str, bytes]]) -> str:
    """The file Release, over the index files by their path below it."""
    date = format_datetime(datetime.fromtimestamp(spec.mtime, timezone.utc))
    rows = {
        "Origin": spec.origin,
        "Label": spec.label,
        "Suite": spec.suite,
        "Codename": spec.suite,
        "Version": spec.version,
        "Date": date.replace("+0000", "UTC"),
        "Acquire-By-Hash": "yes",
        # Packages of every architecture are in the index of amd64, as in Debian's own.
        "No-Support-for-Architecture-all": "Packages",
        "Architectures": " ".join(_ARCHITECTURES),
        "Components": _COMPONENT,
        "Description": f"{spec.label} {spec.version}",
    }
    sums = [
        f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n"
        for name, data in sorted(indexes)
    ]
    return "".join(f"{key}: {value}\n" for key, value in rows.items()) + "SHA256:\n" + "".join(sums)


def build(spec: AptSpec, signer: Signer) -> Path:
    """Write dists/SUITE below the output folder; return its path."""
    plain = packages_text(spec.debs).encode()
    folder = f"{_COMPONENT}/binary-amd64"
    about = f"Archive: {spec.suite}\nOrigin: {spec.origin}\nLabel: {spec.label}\n"
    about += f"Version: {spec.version}\nComponent: {_COMPONENT}\nArchitecture: amd64\n"
    indexes = {
        f"{folder}/Packages": plain,
        f"{folder}/Packages.xz": lzma.compress(plain, preset=6),
        f"{folder}/Release": about.encode(),
    }
    files = dict(indexes)
    for name, data in indexes.items():
        if not name.endswith("Release"):
            files[f"{folder}/by-hash/SHA256/{hashlib.sha256(data).hexdigest()}"] = data
    release = release_text(spec, indexes.items()).encode()
    files["Release"] = release
    files["Release.gpg"] = signer.detach(release, armor=True)
    files["InRelease"] = signer.clearsign(release)
    top = Path(spec.output, "dists", spec.suite)
    for name, data in files.items():
        target = top / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return top


def sign_with_key(spec: AptSpec) -> None:
    """Build it with the key of the build."""
    build(spec, Signer.from_environment())


main = program(AptSpec, sign_with_key)


if __name__ == "__main__":
    run_main(main)
