"""What trees of Debian's packages have in common: their documents, and how they are packed.

What is packed is as releasekit.trees writes it: `tree.tar`, paths as on a host, and `tree.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from releasekit import tarball
from releasekit.licences import Part, expression, write_doc
from releasekit.spdx import of_debian


def parts_of(licences: Path, provenance: list[dict[str, Any]]) -> list[Part]:
    """One part per Debian package, with the copyright file it came with."""
    versions = {str(row["package"]).split("/")[-1]: str(row["version"]) for row in provenance}
    parts = []
    for folder in sorted(licences.iterdir()):
        text = (folder / "copyright").read_text("utf-8", "replace").strip()
        version = versions.get(folder.name, "")
        parts.append(Part(folder.name, version, of_debian(text), (text,)))
    return parts


def document(
    tree: Path,
    root: Path,
    *,
    package: str,
    homepage: str,
    own: str,
    provenance: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write the copyright file and the list of Debian packages below `root`; return `tree.json`'s facts.

    tree: the folder below `root` that releasekit.relocate made; own: licence of what is ours.
    """
    parts = parts_of(tree / "share/licenses", provenance)
    doc = root / "usr/share/doc" / package
    write_doc(doc, package=package, homepage=homepage, own=own, parts=parts)
    rows = json.dumps(provenance, indent=1, sort_keys=True) + "\n"
    (doc / "debian-packages.json").write_text(rows, "utf-8")
    return {"package": package, "license": expression(own, parts), "distributions": []}


def pack(root: Path, facts: dict[str, Any], mtime: int) -> None:
    """Write `tree.tar` and `tree.json` to the working folder; mtime: seconds since the epoch."""
    tarball.pack(root, Path("tree.tar"), mtime=mtime)
    Path("tree.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
