"""Who resolves names on this host: resolv.conf(5)."""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.platform import files

FILE = Path("/etc/resolv.conf")


def nameservers() -> list[str]:
    """Addresses, without the interface of a link-local one."""
    words = (line.split() for line in (files.read(FILE) or "").splitlines())
    found = [row[1].partition("%")[0] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return list(dict.fromkeys(found))
