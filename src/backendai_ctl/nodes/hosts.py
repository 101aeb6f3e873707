"""Names of the nodes in /etc/hosts, between two markers, on request only."""

from __future__ import annotations

from pathlib import Path

from backendai_ctl.platform import files
from backendai_ctl.site.schema import Site
from backendai_ctl.site.values import is_address

FILE = Path("/etc/hosts")
BEGIN = "# Backend.AI nodes: written by backendai-ctl node hosts"
END = "# Backend.AI nodes: end"


def lines(site: Site) -> list[str]:
    """A line a node whose address is no name itself."""
    named = site.nodes.items()
    return [f"{node.address}\t{name}" for name, node in named if is_address(node.address)]


def changed(wanted: list[str], file: Path = FILE) -> bool:
    text = files.read(file) or ""
    return _with(text, wanted) != text


def write(wanted: list[str], file: Path = FILE) -> None:
    """Put the lines between the markers, or take the markers out if there are none."""
    text = files.read(file) or ""
    files.write(file, _with(text, wanted), mode=0o644)


def _with(text: str, wanted: list[str]) -> str:
    kept, ours = [], False
    for line in text.splitlines():
        ours = ours or line == BEGIN
        if not ours:
            kept.append(line)
        ours = ours and line != END
    made = [*kept, *([BEGIN, *wanted, END] if wanted else [])]
    return "\n".join(made) + "\n" if made else ""
