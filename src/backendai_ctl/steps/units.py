"""Unit files and drop-ins that we write to /etc/systemd/system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.steps.base import Change
from backendai_ctl.system import files, systemd

FOLDER = Path("/etc/systemd/system")
# Of a server that listens on an address which the network gives to this host.
WAIT_FOR_NETWORK = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n\n"


@dataclass(frozen=True)
class File:
    """A file and what shall be in it."""

    path: Path
    text: str
    mode: int = 0o644

    @property
    def same(self) -> bool:
        return files.holds(self.path, self.text)


def drop_in(unit: str, name: str, text: str) -> File:
    return File(FOLDER / f"{unit}.d" / name, text)


def stale(wanted: Sequence[File], unit: str) -> list[Change]:
    """Which of the files differ, and whether systemd has to read those of `unit` again."""
    found = [Change(str(file.path), "write it") for file in wanted if not file.same]
    if (
        not found
        and systemd.properties(unit, ["NeedDaemonReload"]).get("NeedDaemonReload") == "yes"
    ):
        found.append(Change(unit, "let systemd read its files again"))
    return found


def write(wanted: Sequence[File]) -> None:
    """Write the files, in this order, and let systemd read them."""
    for file in wanted:
        files.write(file.path, file.text, mode=file.mode)
    if systemd.booted():
        systemd.systemctl("daemon-reload")


def remove(unwanted: Sequence[File]) -> None:
    """Remove the files and folders that were only for them."""
    gone = False
    for file in unwanted:
        gone |= files.remove(file.path)
        folder = file.path.parent
        if folder.name.endswith(".d") and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if gone and systemd.booted():
        systemd.systemctl("daemon-reload")
