"""Sign the list of volumes with a key of the user's own gpg key ring."""

from __future__ import annotations

import subprocess
from pathlib import Path

from releasekit.errors import Failure
from releasekit.files import write_atomic


def sign_list(path: Path, key: str) -> Path:
    """Write the detached signature NAME.volumes.sig; gpg asks for the passphrase as it always does."""
    argv = ["gpg", "--quiet", "--yes", f"--local-user={key}", "--detach-sign", "--output=-"]
    try:
        done = subprocess.run([*argv, str(path)], stdout=subprocess.PIPE, check=False)
    except FileNotFoundError:
        raise Failure("gpg is not on this machine", hint="apt install gnupg") from None
    if done.returncode != 0 or not done.stdout:
        raise Failure(
            f"gpg could not sign {path.name} with the key {key}",
            hint="gpg --list-secret-keys shows your keys; the volumes and their list are good "
            "without a signature",
        )
    signature = path.with_name(path.name + ".sig")
    write_atomic(signature, done.stdout)
    return signature
