"""The site's secrets: one file each, made once, readable by root alone.

Services get theirs inside their own configuration, by systemd's credentials.
"""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.system import files

# name -> what it is for; each is 43 characters of URL-safe base64 (256 bits).
GENERATED = {
    "admin-password": "the first administrator's password",
    "admin-secret-key": "the first administrator's API secret key",
    "appproxy-api": "between manager, coordinator and workers",
    "appproxy-jwt": "signs the app proxy's tokens",
    "appproxy-permit": "hashes the app proxy's permits",
    "cache-password": "Valkey",
    "database-coordinator": "the app proxy coordinator's database role",
    "database-manager": "the manager's database role",
    "etcd-password": "the services' user in etcd",
    "etcd-root-password": "etcd's own administrator",
    "etcd-token": "signs etcd's login tokens",
    "storage-manager": "between manager and storage proxy",
    "storage-token": "signs upload and download tokens",
}


@dataclass(frozen=True)
class Secrets:
    """Secrets below `folder`."""

    folder: Path

    def path(self, name: str) -> Path:
        if name not in GENERATED:
            raise KeyError(name)
        return self.folder / name

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()

    def get(self, name: str) -> str:
        """The secret; Problem if it was not made yet."""
        text = files.read(self.path(name))
        if not text or not text.strip():
            raise Problem(
                f"{self.path(name)}: no secret in it ({GENERATED[name]})",
                hint="run: backendai-ctl reconfigure",
            )
        return text.strip()

    def create(self, name: str) -> None:
        """Make the secret unless it exists."""
        if not self.exists(name):
            files.write(self.path(name), random.token_urlsafe(32) + "\n", mode=0o600)
