"""What is left of Debian's servers after a move, for `doctor`."""

from __future__ import annotations

from backendai_ctl.context import Context
from backendai_ctl.moving import debian, record
from backendai_ctl.result import Result, ok, warn


def look(ctx: Context) -> Result:
    """Which packages may be removed, and why some of the servers were left running."""
    found = record.read(ctx)
    if found.state != record.DONE:
        return warn("the move is not finished", "run: backendai-ctl reconfigure")
    said, gone = [], []
    for name in found.servers:
        known = debian.PACKAGES[name]
        if name in found.kept:
            said.append(f"{known.title} of Debian goes on: {found.kept[name]}")
        elif debian.installed(name):
            gone.append(known)
    if gone:
        packages = " ".join(known.package for known in gone)
        folders = ", ".join(known.data for known in gone)
        said.append(
            f"stopped, and kept as they were in {folders}; once you need that no more: "
            f"apt purge {packages}; apt autoremove --purge"
        )
    return ok("; ".join(said) or "nothing is left of them")
