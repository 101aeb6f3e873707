"""What every bundle says of itself: RELEASE (key=value) and MANIFEST (as `sha256sum` writes it)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from releasekit.errors import Failure

RELEASE, MANIFEST, SIGNATURE = "RELEASE", "MANIFEST", "MANIFEST.sig"
KEYRING = "keys/backendai-archive-keyring.gpg"
FORMAT = "1"
_NEEDED = ("name", "version", "number", "date", "distribution", "architecture", "fingerprint")
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


@dataclass(frozen=True)
class Facts:
    """The lines of RELEASE."""

    values: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        return self.values.get(key, "")

    @property
    def number(self) -> int:
        """The release number: it rises with every release."""
        return int(self["number"])

    @property
    def folder(self) -> str:
        """Name of the bundle's one top folder."""
        return "-".join(self[key] for key in ("name", "version", "distribution", "architecture"))

    def title(self) -> str:
        """For example "26.9.6-1 (number 1)"."""
        return f"{self['version']} (number {self['number']})"


def parse_release(text: str, where: str) -> Facts:
    """Facts of RELEASE; Failure when it is damaged or of a later format."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if values.get("format") != FORMAT:
        raise Failure(
            f"{where}: RELEASE says format {values.get('format', 'nothing')}, "
            f"this program knows format {FORMAT}",
            hint="use scripts/release of the checkout the release was built from",
        )
    missing = [key for key in _NEEDED if not values.get(key)]
    if missing or not values["number"].isdigit():
        raise Failure(f"{where}: RELEASE is damaged: {', '.join(missing) or 'number'} is not right")
    return Facts(values)


def parse_manifest(text: str, where: str) -> dict[str, str]:
    """Sha256 by path; Failure for a line that no builder writes, or a path that leaves the folder."""
    entries: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        path = match.group(2) if match else ""
        if not match or path in entries or path.startswith("/") or ".." in path.split("/"):
            raise Failure(f"{where}: line {number} of MANIFEST is not right: {line[:80]!r}")
        entries[path] = match.group(1)
    if not entries:
        raise Failure(f"{where}: MANIFEST is empty")
    return entries
