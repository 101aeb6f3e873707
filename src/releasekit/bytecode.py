"""Byte-code that is trusted as shipped: unchecked hash, so no time stamp and no source is compared."""

from __future__ import annotations

import compileall
import marshal
import py_compile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from releasekit.errors import Failure

HEADER = 16  # bytes before the code object (PEP 552)


def compile_tree(root: Path, *, shown_as: str, jobs: int = 1) -> None:
    """Compile every module below `root`; code objects name their file as if `root` were `shown_as`.

    The bytes follow from the sources alone: not from `jobs`, and not from what this process did before.
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
    files = sorted(root.rglob("*.pyc"))
    if any(root.rglob("*.py")) and not files:
        raise Failure(
            f"{root}: no module could be compiled", hint="is the interpreter CPython 3.13?"
        )
    with ProcessPoolExecutor(jobs) as pool:
        for _ in pool.map(_settle, files, chunksize=64):
            pass


def _settle(file: Path) -> None:
    """Rewrite a byte-code file as its content alone says.

    Marshal writes an object that is referenced twice once; which equal strings are one object follows
    from what the compiling process had interned before (bpo-34033). Written as values and read again,
    none of that is left.
    """
    data = file.read_bytes()
    header, code = data[:HEADER], marshal.loads(data[HEADER:])
    values = marshal.dumps(code, 2)  # the last version that knows no references
    file.write_bytes(header + marshal.dumps(marshal.loads(values)))
