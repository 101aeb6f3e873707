"""The site's secrets: one file each, made once, readable by root alone.

Services get theirs inside their own configuration, by systemd's credentials.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.platform import files


@dataclass(frozen=True)
class Secrets:
    """Secrets below `folder`: each is 43 characters of URL-safe base64 (256 bits)."""

    folder: Path
    holders: Mapping[
        str, Collection[str]
    ]  # name of each secret -> components and servers that hold it

    def of_node(self, node: str) -> Secrets:
        """What was made for another node alone."""
        return Secrets(self.folder / "nodes" / node, self.holders)

    def path(self, name: str) -> Path:
        if name not in self.holders:
            raise KeyError(name)
        return self.folder / name

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()

    def get(self, name: str) -> str:
        """The secret; Problem if it was not made yet."""
        text = files.read(self.path(name))
        if not text or not text.strip():
            raise Problem(
                f"{self.path(name)}: no secret in it (for {', '.join(sorted(self.holders[name]))})",
                hint="run: backendai-ctl reconfigure",
            )
        return text.strip()

    def create(self, name: str) -> None:
        """Make the secret unless it exists."""
        if not self.exists(name):
            files.make_folder(self.folder, mode=0o700)
            files.write(self.path(name), random.token_urlsafe(32) + "\n", mode=0o600)
