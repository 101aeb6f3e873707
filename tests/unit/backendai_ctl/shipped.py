"""What packages bring to a host, from where it lies in the repository."""

from __future__ import annotations

from pathlib import Path

PACKAGING = Path(__file__).resolve().parents[3] / "packaging"


def templates(share: Path) -> Path:
    """Copy the templates of components and servers below `share`; their folder."""
    folder = share / "templates"
    folder.mkdir()
    for template in PACKAGING.glob("*/*/*.j2"):
        (folder / template.name).write_bytes(template.read_bytes())
    return folder
