"""Is a detached OpenPGP signature good, by the verifier this machine has: sqv, gpgv or gpg."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import Failure


def _signer() -> str:
    """The script that hosts judge signatures by too; it has the table of what counts.

    Out of the file that this program is, where it is one: a loader reads from both.
    """
    there = os.path.join(
        os.path.dirname(os.path.dirname(__file__)), "backendai_ctl/bundle/signer.sh"
    )
    text: bytes = __loader__.get_data(there)  # type: ignore[name-defined]
    return text.decode("utf-8")


@dataclass(frozen=True)
class Signed:
    """Who signed: fingerprint of the primary key, 40 hex digits; `tool` says who checked it."""

    fingerprint: str
    tool: str


def check_signature(data: bytes, signature: bytes, keyring: bytes, what: str) -> Signed:
    """Who of `keyring` signed `data`; Failure, which names `what`, when nobody did."""
    with tempfile.TemporaryDirectory(prefix="release-") as scratch:
        files = {"keys.gpg": keyring, "data.sig": signature, "data": data}
        for name, content in files.items():
            Path(scratch, name).write_bytes(content)
        done = subprocess.run(
            [
                "sh",
                "-c",
                _signer(),
                "signer.sh",
                "check",
                *(str(Path(scratch, name)) for name in files),
            ],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    verdict, tool, detail = [*done.stdout.strip().split(" ", 2), "", "", ""][:3]
    if done.returncode != 0 or verdict != "good" or not re.fullmatch(r"[0-9A-F]{40}", detail):
        raise Failure(
            f"{what}: the signature is not good ({tool}): {detail or done.stderr.strip()}",
            hint="it was changed after it was signed, or signed by another key, or one that does not "
            "count any more: do not use it",
        )
    return Signed(detail, tool)


def read_fingerprint(text: str) -> str:
    """A fingerprint as a user gives it: 40 hex digits, spaces and colons allowed, or a file of that."""
    if os.path.isfile(text):
        text = Path(text).read_text("utf-8", "replace")
    plain = re.sub(r"[\s:]", "", text).upper()
    if not re.fullmatch(r"[0-9A-F]{40}", plain):
        raise Failure(
            f"--fingerprint: {text.strip()[:60]!r} is not a fingerprint",
            hint="40 hex digits, as gpg --fingerprint shows, or a file that holds them",
        )
    return plain


def spaced(fingerprint: str) -> str:
    """The way people compare fingerprints: ten groups of four digits."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
