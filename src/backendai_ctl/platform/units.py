"""Unit files and drop-ins that we write to /etc/systemd/system."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.errors import Problem
from backendai_ctl.platform import files, systemd

FOLDER = Path("/etc/systemd/system")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def line(text: str, what: object = "a line of a unit") -> str:
    """The text, if it is one line: what a value brought along would be a setting of its own, as root."""
    if "\n" in text or _CONTROL.search(text):
        raise Problem(f"{what}: a value has a control character in it", hint="see the site file")
    return text


def filled(template: str, **values: object) -> str:
    """A template with values of the site file in it, each of one line."""
    return template.format(**{name: line(str(value), name) for name, value in values.items()})


@dataclass(frozen=True)
class File:
    """A file and what shall be in it."""

    path: Path
    text: str
    mode: int = 0o644

    def __post_init__(self) -> None:
        for one in self.text.split("\n"):
            line(one, self.path)

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
    """Remove the files, and drop-in folders that were only for them; other folders are not ours."""
    gone = False
    for file in unwanted:
        gone |= files.remove(file.path)
        folder = file.path.parent
        if folder.parent == FOLDER and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if gone and systemd.booted():
        systemd.systemctl("daemon-reload")
