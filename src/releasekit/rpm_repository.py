"""The index of an rpm repository: repodata/, signed. dnf accepts it with gpgcheck and repo_gpgcheck.

createrepo_c reads the packages; the files are written here, so that nothing but the packages, the
release's date and the key decides their bytes.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from releasekit.errors import run_main
from releasekit.signing import Signer
from releasekit.specs import program

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = "http://linux.duke.edu/metadata"
_CHANGELOGS = 10  # entries of each package
# File: its element and its name spaces.
_FILES = {
    "primary": ("metadata", f'xmlns="{_SPACE}/common" xmlns:rpm="{_SPACE}/rpm"'),
    "filelists": ("filelists", f'xmlns="{_SPACE}/filelists"'),
    "other": ("otherdata", f'xmlns="{_SPACE}/other"'),
}


@dataclass(frozen=True)
class RpmSpec:
    """`rpms`: {path of a file: where it is in the repository}; `mtime`: seconds since the epoch."""

    rpms: Mapping[str, str]
    output: str
    mtime: int


def descriptions(spec: RpmSpec) -> dict[str, list[str]]:
    """What each of the three files says of each package, ordered by place."""
    import createrepo_c

    found: dict[str, list[str]] = {name: [] for name in _FILES}
    for path, place in sorted(spec.rpms.items(), key=lambda item: item[1]):
        package: Any = createrepo_c.package_from_rpm(
            path,
            checksum_type=createrepo_c.SHA256,
            location_href=place,
            changelog_limit=_CHANGELOGS,
        )
        package.time_file = spec.mtime
        texts = (
            createrepo_c.xml_dump_primary(package),
            createrepo_c.xml_dump_filelists(package),
            createrepo_c.xml_dump_other(package),
        )
        for rows, text in zip(found.values(), texts):
            rows.append(text)
    return found


def metadata(name: str, texts: Sequence[str]) -> bytes:
    """One of the three files, before compression."""
    element, spaces = _FILES[name]
    head = f'{_HEAD}<{element} {spaces} packages="{len(texts)}">\n'
    return (head + "".join(texts) + f"</{element}>\n").encode()


def repomd(mtime: int, rows: Sequence[tuple[str, str, bytes, bytes]]) -> bytes:
    """repomd.xml over (type, place, compressed, plain) of every file."""
    text = f'{_HEAD}<repomd xmlns="{_SPACE}/repo" xmlns:rpm="{_SPACE}/rpm">\n'
    text += f"  <revision>{mtime}</revision>\n"
    for kind, place, packed, plain in rows:
        text += (
            f'  <data type="{kind}">\n'
            f'    <checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>\n'
            f'    <open-checksum type="sha256">{hashlib.sha256(plain).hexdigest()}</open-checksum>\n'
            f'    <location href="{escape(place)}"/>\n'
            f"    <timestamp>{mtime}</timestamp>\n"
            f"    <size>{len(packed)}</size>\n"
            f"    <open-size>{len(plain)}</open-size>\n"
            "  </data>\n"
        )
    return (text + "</repomd>\n").encode()


def build(spec: RpmSpec, signer: Signer) -> Path:
    """Write repodata/ below the output folder; return its path."""
    folder = Path(spec.output, "repodata")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, texts in descriptions(spec).items():
        plain = metadata(name, texts)
        packed = gzip.compress(plain, 9, mtime=0)
        file = f"{hashlib.sha256(packed).hexdigest()}-{name}.xml.gz"
        (folder / file).write_bytes(packed)
        rows.append((name, f"repodata/{file}", packed, plain))
    index = repomd(spec.mtime, rows)
    (folder / "repomd.xml").write_bytes(index)
    (folder / "repomd.xml.asc").write_bytes(signer.detach(index, armor=True))
    return folder


def sign_with_key(spec: RpmSpec) -> None:
    """Build it with the key of the build."""
    build(spec, Signer.from_environment())


main = program(RpmSpec, sign_with_key)


if __name__ == "__main__":
    run_main(main)
