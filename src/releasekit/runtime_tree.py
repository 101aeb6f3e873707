"""Build the tree of the runtime's package: `python -m releasekit.runtime_tree SPEC`.

SPEC is a JSON file (see `RuntimeSpec`). Written beside it: `tree.tar` and `tree.json`, as
releasekit.trees writes them; `libraries` of the latter are the names of those that servers find here.
The runtime itself is releasekit.runtime's work; here it is compiled and documented.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasekit import bytecode, runtime
from releasekit.debian_tree import DebianSpec, document, packed
from releasekit.errors import run_main
from releasekit.specs import program


@dataclass(frozen=True)
class RuntimeSpec(DebianSpec):
    """python: its version, such as 3.13; sitecustomize: the module of the tree's own."""

    python: str
    sitecustomize: str
    jobs: int = 1


def build(spec: RuntimeSpec, root: Path) -> dict[str, Any]:
    """Lay the tree out below `root`; return what `tree.json` holds."""
    prefix = spec.folder(root)
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
    facts = document(prefix, root, spec)
    return {**facts, "libraries": sorted(path.name for path in (prefix / "lib").glob("*.so*"))}


def make(spec: RuntimeSpec) -> None:
    """Write `tree.tar` and `tree.json` to the working folder."""
    packed(spec, build)


main = program(RuntimeSpec, make)


if __name__ == "__main__":
    run_main(main)
