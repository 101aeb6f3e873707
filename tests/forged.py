"""Signatures that say of themselves that somebody else made them: what gpg writes for nobody.

An OpenPGP signature names its maker in fields that its maker fills in (RFC 4880, sections 5.2.3.5 and
5.2.3.28); verifiers repeat them to people before they know whether they are true.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BORN = 1_767_225_600  # 2026-01-01
EDDSA, SHA256 = 22, 8
CURVE = bytes.fromhex("2b06010401da470f01")  # Ed25519
OF_DATA, OF_NAME = 0x00, 0x13
CREATED, ISSUER, USAGE, ISSUER_FINGERPRINT = 2, 16, 27, 33
MAY_SIGN = b"\x03"  # other keys, and data
SIGNATURE, PUBLIC_KEY, USER = 2, 6, 13


class Forger:
    """A new key whose signatures name any key as their maker."""

    def __init__(self, user: str = "Throw-away <throw@away.invalid>") -> None:
        self._key, self._user = Ed25519PrivateKey.generate(), user.encode()
        point = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        curve = bytes([len(CURVE)]) + CURVE
        self._body = b"\x04" + BORN.to_bytes(4) + bytes([EDDSA]) + curve + _number(b"\x40" + point)
        self._hashed = b"\x99" + len(self._body).to_bytes(2) + self._body
        self._print = hashlib.sha1(self._hashed).digest()

    @property
    def fingerprint(self) -> str:
        return self._print.hex().upper()

    def public(self) -> bytes:
        name = b"\xb4" + len(self._user).to_bytes(4) + self._user
        usage = _field(USAGE, MAY_SIGN)
        vouches = self._signature(OF_NAME, self._hashed + name, self._print, usage)
        return _packet(PUBLIC_KEY, self._body) + _packet(USER, self._user) + vouches

    def sign(self, data: bytes, *, claims: str) -> bytes:
        """A good signature of `data` by this key that claims to be of the key with that fingerprint."""
        return self._signature(OF_DATA, data, bytes.fromhex(claims))

    def _signature(self, kind: int, data: bytes, claims: bytes, more: bytes = b"") -> bytes:
        fields = _field(CREATED, (BORN + 60).to_bytes(4)) + more
        fields += _field(ISSUER_FINGERPRINT, b"\x04" + claims)
        head = bytes([4, kind, EDDSA, SHA256]) + len(fields).to_bytes(2) + fields
        digest = hashlib.sha256(data + head + b"\x04\xff" + len(head).to_bytes(4)).digest()
        made = self._key.sign(digest)
        unsigned = _field(ISSUER, self._print[-8:])  # by this one verifiers find the key
        tail = len(unsigned).to_bytes(2) + unsigned + digest[:2]
        return _packet(SIGNATURE, head + tail + _number(made[:32]) + _number(made[32:]))


def naming(signature: bytes, fingerprint: str, *, first: bool = False) -> bytes:
    """The signature with one more field of an issuer, among those that are not signed."""
    assert signature[0] == 0x88  # gpg's header of a signature of less than 256 bytes
    body = signature[2:]
    at = 6 + int.from_bytes(body[4:6])
    end = at + 2 + int.from_bytes(body[at : at + 2])
    more, had = _field(ISSUER, bytes.fromhex(fingerprint)[-8:]), body[at + 2 : end]
    unsigned = more + had if first else had + more
    body = body[:at] + len(unsigned).to_bytes(2) + unsigned + body[end:]
    return bytes([0x88, len(body)]) + body


def _number(value: bytes) -> bytes:
    value = value.lstrip(b"\0") or b"\0"
    return ((len(value) - 1) * 8 + value[0].bit_length()).to_bytes(2) + value


def _field(kind: int, value: bytes) -> bytes:
    return bytes([len(value) + 1, kind]) + value


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4) + body
