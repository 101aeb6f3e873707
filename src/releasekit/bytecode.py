"""Byte-code that is trusted as shipped: unchecked hash, so no time stamp and no source is compared."""

from __future__ import annotations

import compileall
import py_compile
from pathlib import Path

from releasekit.errors import Failure


def compile_tree(root: Path, *, shown_as: str, jobs: int = 1) -> None:
    """Compile every module below `root`; code objects name their file as if `root` were `shown_as`.

    Modules that do not compile are left as sources, as pip does: wheels carry a few for other Pythons.
    Raises Failure when nothing compiled at all.
    """
    compileall.compile_dir(
        str(root),
        maxlevels=100,
        quiet=2,
        workers=jobs,
        stripdir=str(root),
        prependdir=shown_as,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if any(root.rglob("*.py")) and not any(root.rglob("*.pyc")):
        raise Failure(
            f"{root}: no module could be compiled", hint="is the interpreter CPython 3.13?"
        )
