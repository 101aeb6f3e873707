"""Signing by the machine's gpg, so that the same key and release give the same bytes.

The private key stays with gpg-agent: no file, argument or variable of a program holds it. The time
of a signature is the release's date, or the key's creation where that is later: verifiers refuse a
signature older than its key. Ed25519 (RFC 8032) and RSA (PKCS 1 v1.5) take no random number.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import Failure

GPG = "BACKENDAI_GPG"
HOME = "BACKENDAI_SIGNING_HOME"
FINGERPRINT = "BACKENDAI_SIGNING_FINGERPRINT"
KIND = "BACKENDAI_SIGNING_KIND"
KEYRING = "BACKENDAI_SIGNING_KEYRING"
VARIABLES = (GPG, HOME, FINGERPRINT, KIND, KEYRING)

_EDDSA, _RSA = "22", "1"  # RFC 4880, section 9.1
_ARMOR_LINE = 64  # characters


@dataclass(frozen=True)
class SigningKey:
    """The key or subkey that signs. `created` is in seconds since the epoch."""

    fingerprint: str
    algorithm: str
    created: int


def armored(data: bytes) -> bytes:
    """Public keys in ASCII armor (RFC 4880, section 6), without a line that names a program."""
    text = base64.b64encode(data).decode()
    lines = [text[at : at + _ARMOR_LINE] for at in range(0, len(text), _ARMOR_LINE)]
    crc = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode()
    kind = "PGP PUBLIC KEY BLOCK"
    rows = [f"-----BEGIN {kind}-----", "", *lines, f"={crc}", f"-----END {kind}-----", ""]
    return "\n".join(rows).encode()


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


def signing_key(listing: str, fingerprint: str) -> SigningKey:
    """The key that signs for the primary key `fingerprint`, from gpg's --with-colons listing.

    The primary key itself where it can: rpm knew no subkeys for long. Failure when none can, or when
    its algorithm would give other bytes each time.
    """
    keys = []
    rows = [line.split(":") for line in listing.splitlines()]
    newest = 0
    for row, follower in zip(rows, rows[1:]):
        if row[0] in ("pub", "sub", "sec", "ssb") and follower[0] == "fpr":
            newest = max(newest, int(row[5])) if row[0] in ("pub", "sec") else newest
            if "s" in row[11] and row[1] not in ("r", "e", "d", "i"):
                made = max(newest, int(row[5]))
                keys.append(SigningKey(follower[9], f"{row[3]} {row[16]}".strip(), made))
    if not keys:
        raise Failure(
            f"the key {fingerprint} cannot sign",
            hint="name a key that can sign, that has not expired and was not revoked",
        )
    key = next((k for k in keys if k.fingerprint == fingerprint), keys[-1])
    if key.algorithm != f"{_EDDSA} ed25519" and key.algorithm.split()[0] != _RSA:
        raise Failure(
            f"the key {fingerprint} is neither Ed25519 nor RSA: two signatures of one file differ",
            hint="make one: gpg --quick-generate-key NAME ed25519 sign never",
        )
    return key


@dataclass(frozen=True)
class Signer:
    """Signs with one key. `when` is the time of signatures, in seconds since the epoch."""

    gpg: str
    home: str
    fingerprint: str
    kind: str
    keyring: bytes
    when: int
    using: str = ""  # fingerprint of the key or subkey that signs

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Signer:
        """What the launcher prepared and KitProcess(signs=True) passes."""
        env = os.environ if environment is None else environment
        missing = [name for name in (*VARIABLES, "SOURCE_DATE_EPOCH") if not env.get(name)]
        if missing:
            raise Failure(
                f"nothing to sign with: {', '.join(missing)} is not set",
                hint="build by `./pants package`, which sets up the signing key",
            )
        keyring = base64.b64decode(env[KEYRING])
        values = (env[GPG], env[HOME], env[FINGERPRINT], env[KIND], keyring)
        plain = cls(*values, when=int(env["SOURCE_DATE_EPOCH"]))
        key = plain._key()
        return cls(*values, when=max(plain.when, key.created), using=key.fingerprint)

    def detach(self, data: bytes, *, armor: bool) -> bytes:
        """A detached signature of `data`."""
        return self._sign(["--detach-sign", *(["--armor"] if armor else [])], data)

    def detach_file(self, path: Path) -> bytes:
        """A detached signature of a file, which is not held in memory."""
        return self._sign(["--detach-sign"], b"", str(path))

    def clearsign(self, data: bytes) -> bytes:
        """`data`, a text, with its signature around it."""
        return self._sign(["--clearsign"], data)

    def public_key(self, *, armor: bool) -> bytes:
        """The public keys that hosts shall trust: of this key, then older ones that still count."""
        return armored(self.keyring) if armor else self.keyring

    def _key(self) -> SigningKey:
        # At the clock's time: at the release's, a younger key would not count yet.
        listing = self._run(["--with-colons", "--list-keys", self.fingerprint], b"", when="")
        return signing_key(listing.decode("utf-8", "replace"), self.fingerprint)

    def _sign(self, mode: Sequence[str], data: bytes, *paths: str) -> bytes:
        options = ["--digest-algo=SHA512", f"--local-user={self.using}!"]
        moment = f"--faked-system-time={self.when}!"
        return self._run([*options, "--output=-", *mode, *paths], data, when=moment)

    def _run(self, args: Sequence[str], data: bytes, *, when: str) -> bytes:
        argv = [
            self.gpg,
            f"--homedir={self.home}",
            "--no-options",  # nothing of the user's own gpg.conf
            "--batch",
            "--no-tty",
            "--quiet",
            "--pinentry-mode=error",
            "--trust-model=always",
            "--no-auto-check-trustdb",
            "--no-emit-version",
            "--no-comments",
            *([when] if when else []),
            *args,
        ]
        done = subprocess.run(
            argv, input=data, capture_output=True, check=False, env={"LC_ALL": "C", "TZ": "UTC"}
        )
        if done.returncode != 0:
            raise self._explained(done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def _explained(self, output: str) -> Failure:
        lines = [line for line in output.splitlines() if "faked system time" not in line]
        detail = "\n".join(lines[-6:])
        if "No pinentry" in output or "Operation cancelled" in output or "passphrase" in output:
            return Failure(
                f"gpg-agent does not hold the passphrase of the key {self.fingerprint}\n{detail}",
                hint="set BACKENDAI_SIGNING_PASSPHRASE or BACKENDAI_SIGNING_PASSPHRASE_FD and run "
                "again: what was built is kept",
            )
        return Failure(
            f"gpg could not sign with the key {self.fingerprint}\n{detail}",
            hint=f"see that gpg --homedir {self.home} --list-secret-keys shows it",
        )
