"""Is a detached OpenPGP signature good, by the verifier this machine has: sqv, gpgv or gpg."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import Failure

_TOOLS = ("sqv", "gpgv", "gpg")


@dataclass(frozen=True)
class Signed:
    """Who signed: fingerprint of the primary key, 40 hex digits; `tool` says who checked it."""

    fingerprint: str
    tool: str


def check_signature(data: bytes, signature: bytes, keyring: bytes, what: str) -> Signed:
    """Who of `keyring` signed `data`; Failure, which names `what`, when nobody did."""
    tool = next((name for name in _TOOLS if shutil.which(name)), "")
    if not tool:
        raise Failure(
            "no program that checks signatures: none of sqv, gpgv, gpg is on this machine",
            hint="install one of them (apt install gpgv, dnf install gnupg2)",
        )
    with tempfile.TemporaryDirectory(prefix="release-") as scratch:
        folder = Path(scratch)
        files = {"data": data, "data.sig": signature, "keys.gpg": keyring}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        done = subprocess.run(
            _argv(tool, folder),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    found = _signer(tool, done.stdout)
    if done.returncode != 0 or not found:
        detail = [line for line in done.stderr.splitlines() if line.strip()][-4:]
        raise Failure(
            "\n".join([f"{what}: the signature is not good ({tool})", *detail]),
            hint="it was changed after it was signed, or signed by another key: do not use it",
        )
    return Signed(found, tool)


def _argv(tool: str, folder: Path) -> list[str]:
    keys, signature, data = (str(folder / name) for name in ("keys.gpg", "data.sig", "data"))
    if tool == "sqv":
        return ["sqv", "--keyring", keys, signature, data]
    if tool == "gpgv":
        # A closed site's clock may be behind the signature.
        argv = ["gpgv", "--ignore-time-conflict", "--keyring", keys]
    else:
        argv = ["gpg", "--homedir", str(folder), "--no-options", "--batch", "--no-tty"]
        argv += ["--no-default-keyring", "--keyring", keys, "--trust-model", "always"]
        argv += ["--no-auto-check-trustdb", "--ignore-time-conflict"]
    return [*argv, "--status-fd", "1", *(["--verify"] if tool == "gpg" else []), signature, data]


def _signer(tool: str, output: str) -> str:
    if tool == "sqv":
        match = re.search(r"\b[0-9A-Fa-f]{40}\b", output)
        return match.group(0).upper() if match else ""
    if "[GNUPG:] REVKEYSIG" in output or "[GNUPG:] BADSIG" in output:
        return ""
    match = re.search(r"^\[GNUPG:\] VALIDSIG .* ([0-9A-F]{40})$", output, re.MULTILINE)
    return match.group(1) if match else ""


def read_fingerprint(text: str) -> str:
    """A fingerprint as a user gives it: 40 hex digits, spaces and colons allowed, or a file of that."""
    if os.path.isfile(text):
        text = Path(text).read_text("utf-8", "replace")
    plain = re.sub(r"[\s:]", "", text).upper()
    if not re.fullmatch(r"[0-9A-F]{40}", plain):
        raise Failure(
            f"--fingerprint: {text.strip()[:60]!r} is no fingerprint",
            hint="40 hex digits, as gpg --fingerprint shows, or a file that holds them",
        )
    return plain


def spaced(fingerprint: str) -> str:
    """The way people compare fingerprints: ten groups of four digits."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
