"""Copies of what is in etcd, made before something changes there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from backendai_ctl.context import Context
from backendai_ctl.etcd.access import prefixes
from backendai_ctl.etcd.client import Client
from backendai_ctl.platform import files

KEEP = 5


def export(ctx: Context, client: Client) -> Path | None:
    """Write all keys of the site to /var/backups/backendai/etcd-TIME.json, root's alone.

    Key -> value; None if there are no keys yet. Older copies than the newest five go.
    """
    found = {
        key: entry.value for prefix in prefixes(ctx) for key, entry in client.prefix(prefix).items()
    }
    if not found:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = ctx.paths.backups / f"etcd-{stamp}.json"
    if not ctx.paths.backups.is_dir():
        files.make_folder(ctx.paths.backups, mode=0o700)
    files.write(path, json.dumps(found, indent=1, sort_keys=True) + "\n", mode=0o600)
    for old in copies(ctx)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def copies(ctx: Context) -> list[Path]:
    """All copies, oldest first."""
    return sorted(ctx.paths.backups.glob("etcd-*.json"))
