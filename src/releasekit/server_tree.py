"""Build the tree of a server's package: `python -m releasekit.server_tree SPEC`.

SPEC is a JSON file (see `ServerSpec`). Written beside it: `tree.tar` and `tree.json`, as
releasekit.trees writes them. Programs out of Debian's packages are moved by releasekit.relocate; their
loader, and the libraries that the runtime has, are the runtime's.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit.debian_tree import document, pack
from releasekit.errors import run_main
from releasekit.relocate import LOADER, Contents, LeftOut, Place, assemble


@dataclass(frozen=True)
class ServerSpec:
    """Paths of inputs are relative to the sandbox, `prefix` and `runtime` are as on a host.

    runtime_tree: `tree.json` of the runtime; programs, data, libraries, links: see
    releasekit.relocate.Contents; left_out: {pattern: reason}.
    """

    package: str
    prefix: str
    runtime: str
    runtime_tree: str
    mtime: int  # seconds since the epoch
    homepage: str
    license: str
    debs: list[str]
    provenance: list[dict[str, Any]]
    patchelf: str
    programs: list[str]
    data: list[str]
    libraries: list[str]
    links: dict[str, str]
    left_out: dict[str, str]


def build(spec: ServerSpec, root: Path) -> dict[str, Any]:
    """Lay the tree out below `root`; return what `tree.json` holds."""
    prefix = root / spec.prefix.lstrip("/")
    prefix.parent.mkdir(parents=True)
    contents = Contents(
        programs=tuple(spec.programs),
        data=tuple(spec.data),
        libraries=tuple(spec.libraries),
        links=spec.links,
        left_out=tuple(LeftOut(*row) for row in sorted(spec.left_out.items())),
    )
    facts = json.loads(Path(spec.runtime_tree).read_text("utf-8"))
    where = Place(
        loader=f"{spec.runtime}/lib/{LOADER}",
        path=(f"{spec.prefix}/lib", f"{spec.runtime}/lib"),
        provided=frozenset(facts["libraries"]),
    )
    debs = [Path(deb) for deb in sorted(spec.debs)]
    assemble(debs, contents, where, Path(spec.patchelf).absolute(), prefix)
    return document(
        prefix,
        root,
        package=spec.package,
        homepage=spec.homepage,
        own=spec.license,
        provenance=spec.provenance,
    )


def main() -> int:
    """Command line: one argument, the specification."""
    if len(sys.argv) != 2:
        print("usage: python -m releasekit.server_tree SPEC.json", file=sys.stderr)
        return 2
    spec = ServerSpec(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    os.umask(0o022)
    root = Path("root")
    root.mkdir()
    pack(root, build(spec, root), spec.mtime)
    return 0


if __name__ == "__main__":
    run_main(main)
