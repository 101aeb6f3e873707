"""Throw-away signing keys in home folders of their own, whose gpg-agent ends with the test."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RELEASED = 1_795_392_000  # 2026-11-23, in seconds since the epoch
ALGORITHMS = {"ed25519": "eddsa\nKey-Curve: ed25519", "nistp256": "ecdsa\nKey-Curve: nistp256"}


@dataclass(frozen=True)
class ThrowAwayKey:
    """A private key in a GNUPGHOME below /tmp: paths of sockets must be short."""

    home: Path
    fingerprint: str

    def gpg(self, *args: str, data: bytes = b"") -> bytes:
        argv = ["gpg", f"--homedir={self.home}", "--batch", "--quiet", "--no-tty", *args]
        return subprocess.run(argv, input=data, check=True, capture_output=True).stdout

    def public(self) -> bytes:
        return self.gpg("--export-options=export-minimal", "--export", self.fingerprint)

    def private(self, passphrase: str = "") -> bytes:
        loopback = ("--pinentry-mode=loopback", f"--passphrase={passphrase}")
        return self.gpg(*loopback, "--armor", "--export-secret-keys", self.fingerprint)

    def environment(self) -> dict[str, str]:
        """What KitProcess(signs=True) gives to a program."""
        return {
            "BACKENDAI_GPG": shutil.which("gpg") or "",
            "BACKENDAI_SIGNING_HOME": str(self.home),
            "BACKENDAI_SIGNING_FINGERPRINT": self.fingerprint,
            "BACKENDAI_SIGNING_KIND": "given",
            "BACKENDAI_SIGNING_KEYRING": base64.b64encode(self.public()).decode(),
            "SOURCE_DATE_EPOCH": str(RELEASED),
        }


@contextmanager
def throw_away_key(
    *, algorithm: str = "ed25519", passphrase: str = "", created: str = "20250101T000000"
) -> Iterator[ThrowAwayKey]:
    """A new key; its folder and its agent are gone afterwards."""
    kind = ALGORITHMS.get(algorithm, algorithm)
    protection = f"Passphrase: {passphrase}" if passphrase else "%no-protection"
    order = f"Key-Type: {kind}\nKey-Usage: sign\n{protection}\nName-Real: Test key\n"
    order += f"Creation-Date: {created}\nExpire-Date: 0\n%commit\n"
    with tempfile.TemporaryDirectory(prefix="key-") as folder:
        key = ThrowAwayKey(Path(folder), "")
        try:
            key.gpg("--generate-key", data=order.encode())
            listing = key.gpg("--with-colons", "--list-keys").decode()
            line = next(row for row in listing.splitlines() if row.startswith("fpr"))
            yield ThrowAwayKey(key.home, line.split(":")[9])
        finally:
            subprocess.run(["gpgconf", f"--homedir={folder}", "--kill", "gpg-agent"], check=False)
