"""What trees of Debian's packages have in common: their documents, how they are packed, their program.

What is packed is as releasekit.trees writes it: `tree.tar`, paths as on a host, and `tree.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from releasekit import debian_license, tarball
from releasekit.licenses import expression, write_doc
from releasekit.model import Part


@dataclass(frozen=True)
class DebianSpec:
    """What every such tree is made from: paths are relative to the sandbox, `prefix` is as on a host."""

    package: str
    prefix: str
    mtime: int  # seconds since the epoch
    homepage: str
    license: str
    debs: list[str]
    provenance: list[dict[str, Any]]
    patchelf: str

    def folder(self, root: Path) -> Path:
        """Where the tree is laid out below `root`; the folder above it is made."""
        prefix = root / self.prefix.lstrip("/")
        prefix.parent.mkdir(parents=True)
        return prefix


def parts_of(licenses: Path, provenance: list[dict[str, Any]]) -> list[Part]:
    """One part per Debian package, with the copyright file it came with."""
    versions = {str(row["package"]).split("/")[-1]: str(row["version"]) for row in provenance}
    parts = []
    for folder in sorted(licenses.iterdir()):
        text = (folder / "copyright").read_text("utf-8", "replace").strip()
        version = versions.get(folder.name, "")
        parts.append(Part(folder.name, version, debian_license.expression(text), (text,)))
    return parts


def document(tree: Path, root: Path, spec: DebianSpec) -> dict[str, Any]:
    """Write the copyright file and the list of Debian packages below `root`; return `tree.json`'s facts.

    tree: the folder below `root` that releasekit.relocate made.
    """
    parts = parts_of(tree / "share/licenses", spec.provenance)
    doc = root / "usr/share/doc" / spec.package
    write_doc(doc, package=spec.package, homepage=spec.homepage, own=spec.license, parts=parts)
    rows = json.dumps(spec.provenance, indent=1, sort_keys=True) + "\n"
    (doc / "debian-packages.json").write_text(rows, "utf-8")
    return {
        "package": spec.package,
        "license": expression(spec.license, parts),
        "distributions": [],
    }


def pack(root: Path, facts: dict[str, Any], mtime: int) -> None:
    """Write `tree.tar` and `tree.json` to the working folder; mtime: seconds since the epoch."""
    tarball.pack(root, Path("tree.tar"), mtime=mtime)
    Path("tree.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")


S = TypeVar("S", bound=DebianSpec)


def packed(spec: S, build: Callable[[S, Path], dict[str, Any]]) -> None:
    """Write `tree.tar` and `tree.json`: what `build` lays out below a folder, and the facts it returns."""
    root = Path("root")
    root.mkdir()
    pack(root, build(spec, root), spec.mtime)
