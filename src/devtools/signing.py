"""The key that both builds of scripts/reproduce sign with: the user's own file, or a throw-away one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from releasekit.errors import Failure

KEY = "BACKENDAI_SIGNING_KEY"
_PARAMETERS = """\
%no-protection
Key-Type: eddsa
Key-Curve: ed25519
Key-Usage: sign
Name-Real: throw-away key of scripts/reproduce
Creation-Date: 20240101T000000
Expire-Date: 0
%commit
"""


def signing_key(target: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """A file with the private key: what BACKENDAI_SIGNING_KEY names, else `target`, made here.

    A throw-away key is readable by all, for one of the builds runs as another user; it signs nothing
    that is kept for anybody.
    """
    given = environment.get(KEY, "")
    if given:
        if not Path(given).is_file():
            raise Failure(
                f"{KEY}={given} is no file: a build in namespaces of its own sees no keyring of yours",
                hint="export the key to a file, or unset it: a throw-away key serves as well",
            )
        return Path(given).absolute()
    if not shutil.which("gpg"):
        raise Failure(
            "this machine has no gpg, by which a release is signed", hint="apt install gnupg"
        )
    with tempfile.TemporaryDirectory(prefix="key-") as home:
        try:
            _gpg(home, "--generate-key", text=_PARAMETERS)
            target.write_bytes(_gpg(home, "--armor", "--export-secret-keys"))
        finally:
            argv = ["gpgconf", "--homedir", home, "--kill", "all"]
            subprocess.run(argv, capture_output=True, check=False)
    target.chmod(0o644)
    return target


def _gpg(home: str, *args: str, text: str = "") -> bytes:
    argv = ["gpg", "--homedir", home, "--batch", "--quiet", *args]
    done = subprocess.run(argv, input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise Failure(f"gpg made no key:\n{done.stderr.decode('utf-8', 'replace')}")
    return done.stdout
