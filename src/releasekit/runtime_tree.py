"""Build the tree of the runtime's package: `python -m releasekit.runtime_tree SPEC`.

SPEC is a JSON file (see `RuntimeSpec`). Written beside it: `tree.tar` and `tree.json`, as
releasekit.trees writes them; `libraries` of the latter are the names of those that servers find here.
The runtime itself is releasekit.runtime's work; here it is compiled and documented.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit import bytecode, runtime
from releasekit.debian_tree import document, pack
from releasekit.errors import run_main


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
    facts = document(
        prefix,
        root,
        package=spec.package,
        homepage=spec.homepage,
        own=spec.license,
        provenance=spec.provenance,
    )
    return {**facts, "libraries": sorted(path.name for path in (prefix / "lib").glob("*.so*"))}


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.runtime_tree SPEC.json", file=sys.stderr)
        return 2
    spec = RuntimeSpec(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    os.umask(0o022)
    root = Path("root")
    root.mkdir()
    pack(root, build(spec, root), spec.mtime)
    return 0


if __name__ == "__main__":
    run_main(main)
