"""Build the tree of a server's package: `python -m releasekit.server_tree SPEC`.

SPEC is a JSON file (see `ServerSpec`). Written beside it: `tree.tar` and `tree.json`, as
releasekit.trees writes them. Programs out of Debian's packages are moved by releasekit.relocate; their
loader, and the libraries that the runtime has, are the runtime's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit.debian_tree import DebianSpec, document, packed
from releasekit.errors import run_main
from releasekit.relocate import LOADER, Contents, LeftOut, Place, assemble
from releasekit.specs import program


@dataclass(frozen=True)
class ServerSpec(DebianSpec):
    """runtime: the prefix of the runtime, as on a host; runtime_tree: its `tree.json`, in the sandbox.

    programs, data, libraries, links: see releasekit.relocate.Contents; left_out: {pattern: reason}.
    """

    runtime: str
    runtime_tree: str
    programs: list[str]
    data: list[str]
    libraries: list[str]
    links: dict[str, str]
    left_out: dict[str, str]


def build(spec: ServerSpec, root: Path) -> dict[str, Any]:
    """Lay the tree out below `root`; return what `tree.json` holds."""
    prefix = spec.folder(root)
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
    return document(prefix, root, spec)


def make(spec: ServerSpec) -> None:
    """Write `tree.tar` and `tree.json` to the working folder."""
    packed(spec, build)


main = program(ServerSpec, make)


if __name__ == "__main__":
    run_main(main)
