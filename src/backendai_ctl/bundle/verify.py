"""Check the tar of a release before it is unpacked, by the keys and the program of this host.

What a bundle brings to check itself is as good as the bundle. One signature covers the whole tar, so
nothing of it is read, let alone run, before that is found good.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.platform.run import run

KEYRING = Path("/usr/share/keyrings/backendai-archive-keyring.gpg")
NEWEST = Path("/var/lib/backendai/bundles/newest")  # written by install.sh
SIGNER = Path(__file__).with_name("signer.sh")
TIMEOUT = 1800.0  # seconds: a slow stick and a large release
_LARGEST = 1 << 16  # bytes of RELEASE


@dataclass(frozen=True)
class Verdict:
    """A bundle that one of this host's keys signed. `number` rises with every release."""

    fingerprint: str
    tool: str
    folder: str
    version: str
    number: int
    date: str


def verify(tar: Path, *, allow_older: bool = False) -> Verdict:
    """What the bundle `tar` is. Problem unless NAME.tar.sig beside it is by a key that counts here."""
    signature = tar.with_name(f"{tar.name}.sig")
    if tar.is_dir():
        raise BadRequest(
            f"{tar} is a folder", hint="give the tar as it came, before it is unpacked"
        )
    for path, hint in (
        (tar, "give the path of the tar of a release"),
        (signature, "it is published with the tar: copy it to the same folder"),
        (KEYRING, "apt or dnf install backendai-archive-keyring, or check by docs/INSTALLING.md"),
    ):
        if not path.is_file():
            raise BadRequest(f"{path}: there is no such file", hint=hint)
    fingerprint, tool = _signer(tar, signature)
    folder, facts = _release(tar)
    found = Verdict(
        fingerprint, tool, folder, facts["version"], int(facts["number"]), facts["date"]
    )
    newest = int(NEWEST.read_text("ascii")) if NEWEST.is_file() else 0
    if found.number < newest and not allow_older:
        raise Problem(
            f"{tar}: release number {found.number} is older than the newest seen on this host, {newest}",
            hint="install the newest release; to go back on purpose add --allow-older",
        )
    return found


def _signer(tar: Path, signature: Path) -> tuple[str, str]:
    paths = [str(path.absolute()) for path in (KEYRING, signature, tar)]
    done = run(["/bin/sh", str(SIGNER), "check", *paths], timeout=TIMEOUT)
    verdict, tool, detail = [*done.stdout.strip().split(" ", 2), "", "", ""][:3]
    if done.returncode == 0 and verdict == "good" and re.fullmatch(r"[0-9A-F]{40}", detail):
        return detail, tool
    hint = "do not unpack it; get it again from who publishes it"
    if verdict == "absent":
        hint = f"if the publisher changed keys, {KEYRING.name} of an earlier release names the next one"
    raise Problem(
        f"{tar} is not signed by a key that this host trusts ({tool}: {detail or done.tail})",
        hint=hint,
    )


def _release(tar: Path) -> tuple[str, dict[str, str]]:
    """The one folder in a signed tar, and the lines of its RELEASE."""
    try:
        with tarfile.open(tar, "r:") as archive:
            top = archive.next()
            folder = top.name if top else ""
            member = archive.extractfile(archive.getmember(f"{folder}/RELEASE"))
            text = member.read(_LARGEST).decode("ascii") if member else ""
    except (tarfile.TarError, KeyError, UnicodeDecodeError) as error:
        raise Problem(f"{tar} is signed, but is not a release bundle: {error}") from error
    facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if not {"version", "number", "date"} <= set(facts) or not facts["number"].isdigit():
        raise Problem(f"{tar} is signed, but its RELEASE names no release")
    return folder, facts


def spaced(fingerprint: str) -> str:
    """The way people compare fingerprints: ten groups of four digits."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
