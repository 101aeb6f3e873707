"""Build the tree of the runtime's package: `python -m releasekit.runtime_tree SPEC`.

SPEC is a JSON file (see `RuntimeSpec`). Written beside it: `tree.tar` and `tree.json`, as
releasekit.trees writes them. The runtime itself is releasekit.runtime's work; here it is compiled,
given its copyright file and the list of the Debian packages it was made of.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit import bytecode, runtime, tarball
from releasekit.errors import run_main
from releasekit.licences import Part, expression, write_doc
from releasekit.spdx import of_debian


@dataclass(frozen=True)
class RuntimeSpec:
    """Paths of inputs are relative to the sandbox, `prefix` is as on a host."""

    package: str
    prefix: str
    python: str
    mtime: int  # seconds since the epoch
    homepage: str
    license: str
    debs: list[str]
    provenance: list[dict[str, Any]]
    patchelf: str
    sitecustomize: str
    jobs: int = 1


def parts_of(licences: Path, provenance: list[dict[str, Any]]) -> list[Part]:
    """One part per Debian package, with the copyright file it came with."""
    versions = {str(row["package"]).split("/")[-1]: str(row["version"]) for row in provenance}
    parts = []
    for folder in sorted(licences.iterdir()):
        text = (folder / "copyright").read_text("utf-8", "replace").strip()
        version = versions.get(folder.name, "")
        parts.append(Part(folder.name, version, of_debian(text), (text,)))
    return parts


def build(spec: RuntimeSpec, root: Path) -> dict[str, Any]:
    """Lay the tree out below `root`; return what `tree.json` holds."""
    prefix = root / spec.prefix.lstrip("/")
    prefix.parent.mkdir(parents=True)
    runtime.assemble(
        [Path(deb) for deb in sorted(spec.debs)],
        spec.prefix,
        Path(spec.patchelf).absolute(),
        prefix,
        Path(spec.sitecustomize),
    )
    bytecode.compile_tree(
        prefix / f"lib/python{spec.python}",
        shown_as=f"{spec.prefix}/lib/python{spec.python}",
        jobs=spec.jobs,
    )
    parts = parts_of(prefix / "share/licenses", spec.provenance)
    doc = root / "usr/share/doc" / spec.package
    write_doc(doc, package=spec.package, homepage=spec.homepage, own=spec.license, parts=parts)
    rows = json.dumps(spec.provenance, indent=1, sort_keys=True) + "\n"
    (doc / "debian-packages.json").write_text(rows, "utf-8")
    return {
        "package": spec.package,
        "license": expression(spec.license, parts),
        "distributions": [],
    }


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.runtime_tree SPEC.json", file=sys.stderr)
        return 2
    spec = RuntimeSpec(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    os.umask(0o022)
    root = Path("root")
    root.mkdir()
    facts = build(spec, root)
    tarball.pack(root, Path("tree.tar"), mtime=spec.mtime)
    Path("tree.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    run_main(main)
