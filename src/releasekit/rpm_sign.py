"""Sign an rpm: one OpenPGP signature over its header, added to its signature header.

The header holds the digest of the payload, so the signature covers all. rpmsign would do the same,
but wants a home folder with macros and its own gpg options, and is not on every build machine.
Format: the rpm package file format, version 4.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import Failure, run_main
from releasekit.signing import Signer
from releasekit.specs import program

_LEAD = 96  # bytes
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_INTRO = 16  # bytes: magic, reserved, number of entries, size of the data
_REGION = 62  # RPMTAG_HEADERSIGNATURES: marks what one writer wrote
_BINARY = 7  # RPM_BIN_TYPE
_SIGNATURE = {"dsa": 267, "rsa": 268}  # RPMSIGTAG_DSA (EdDSA too), RPMSIGTAG_RSA: of the header
_PAYLOAD_DIGEST = 5092  # RPMTAG_PAYLOADDIGEST (PAYLOADSHA256)
_WIDTH = {3: 2, 4: 4, 5: 8}  # bytes by type: numbers are aligned to their width


@dataclass(frozen=True)
class Tag:
    """One entry of a header: its number, type, count of values, and their bytes."""

    number: int
    type: int
    count: int
    data: bytes


@dataclass(frozen=True)
class Rpm:
    """The parts of an rpm file. `header` is what is signed; `payload` follows it."""

    lead: bytes
    signatures: tuple[Tag, ...]
    header: bytes
    payload: bytes


def _size(blob: bytes, at: int, where: Path) -> tuple[int, int]:
    """The number of entries and the size of the data of the header at `at`."""
    if blob[at : at + 4] != _HEADER_MAGIC or len(blob) < at + _INTRO:
        raise Failure(f"{where} is not an rpm, or damaged: no header at byte {at}")
    entries, size = struct.unpack(">II", blob[at + 8 : at + _INTRO])
    if at + _INTRO + 16 * entries + size > len(blob):
        raise Failure(f"{where} is damaged: its header is cut short")
    return entries, size


def tags(header: bytes, where: Path) -> tuple[Tag, ...]:
    """The entries of a header without its region, in the order of their data."""
    entries, size = _size(header, 0, where)
    store = header[_INTRO + 16 * entries :][:size]
    rows = [
        struct.unpack(">IIII", header[at : at + 16])
        for at in range(_INTRO, _INTRO + 16 * entries, 16)
    ]
    trailer = next((row[2] for row in rows if row[0] == _REGION), size)
    rows = sorted((row for row in rows if row[0] != _REGION), key=lambda row: row[2])
    ends = [row[2] for row in rows[1:]] + [trailer]
    return tuple(
        Tag(number, kind, count, _values(store[start:end], kind, count))
        for (number, kind, start, count), end in zip(rows, ends)
    )


def _values(data: bytes, kind: int, count: int) -> bytes:
    """The bytes of the values alone, without what aligns the next ones."""
    if kind in _WIDTH:
        return data[: count * _WIDTH[kind]]
    if kind in (6, 8, 9):  # strings that end in a NUL
        end = 0
        for _ in range(count):
            end = data.index(b"\0", end) + 1
        return data[:end]
    return data[:count]


def header_of(entries: Sequence[Tag]) -> bytes:
    """A header with a region around all entries, ordered by number."""
    index, store = [], b""
    for tag in sorted(entries, key=lambda tag: tag.number):
        store += b"\0" * (-len(store) % _WIDTH.get(tag.type, 1))
        index.append(struct.pack(">IIII", tag.number, tag.type, len(store), tag.count))
        store += tag.data
    length = 16 * (len(index) + 1)
    region = struct.pack(">IIII", _REGION, _BINARY, len(store), 16)
    store += struct.pack(">IIiI", _REGION, _BINARY, -length, 16)
    intro = _HEADER_MAGIC + bytes(4) + struct.pack(">II", len(index) + 1, len(store))
    return intro + region + b"".join(index) + store


def parse(path: Path) -> Rpm:
    """Take an rpm apart; Failure when it is damaged or its header does not cover its payload."""
    blob = path.read_bytes()
    if blob[:4] != _LEAD_MAGIC:
        raise Failure(f"{path} is not an rpm")
    entries, size = _size(blob, _LEAD, path)
    end = _LEAD + _INTRO + 16 * entries + size
    signatures = tags(blob[_LEAD:end], path)
    start = end + -end % 8
    entries, size = _size(blob, start, path)
    stop = start + _INTRO + 16 * entries + size
    header = blob[start:stop]
    if all(tag.number != _PAYLOAD_DIGEST for tag in tags(header, path)):
        raise Failure(f"{path}: its header holds no digest of the payload: a signature covers half")
    return Rpm(blob[:_LEAD], signatures, header, blob[stop:])


def algorithm(signature: bytes) -> str:
    """Which tag a binary OpenPGP signature belongs to: "rsa", or "dsa" for all others."""
    lengths = {0: 2, 1: 3, 2: 5}
    start = lengths[signature[0] & 3] if not signature[0] & 0x40 else 2 + (signature[1] >= 192)
    return "rsa" if signature[start + 2] in (1, 3) else "dsa"


def signed(rpm: Rpm, signature: bytes) -> bytes:
    """The whole rpm with that signature in the place of any other."""
    kept = [tag for tag in rpm.signatures if tag.number not in _SIGNATURE.values()]
    made = Tag(_SIGNATURE[algorithm(signature)], _BINARY, len(signature), signature)
    block = header_of([*kept, made])
    return rpm.lead + block + b"\0" * (-len(block) % 8) + rpm.header + rpm.payload


@dataclass(frozen=True)
class SignSpec:
    rpm: str
    output: str


def build(spec: SignSpec, signer: Signer) -> Path:
    """Write the signed rpm; return its path."""
    rpm = parse(Path(spec.rpm))
    target = Path(spec.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(signed(rpm, signer.detach(rpm.header, armor=False)))
    return target


def sign_with_key(spec: SignSpec) -> None:
    """Sign it with the key of the build."""
    build(spec, Signer.from_environment())


main = program(SignSpec, sign_with_key)


if __name__ == "__main__":
    run_main(main)
