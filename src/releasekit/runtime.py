"""A private, relocatable CPython assembled from Debian's binary packages.

The tree is that of releasekit.relocate, with the loader and all libraries of its packages: those of
wheels and of servers need them too. Its programs look below themselves first ($ORIGIN), then below the
prefix, for copies of the interpreter as `venv --copies` makes them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from releasekit.errors import Failure, run_main
from releasekit.files import fresh_dir
from releasekit.relocate import (
    LIBRARY_FOLDERS,
    LOADER,
    Contents,
    LeftOut,
    Packages,
    Place,
    add_libraries,
    finish,
    lay_out,
)

# Raise this when the same packages give another tree: caches are keyed by it.
RECIPE = "2"

# NSS modules that /etc/nsswitch.conf of some hosts names and that add nothing here. A link to the
# C library's own module `files` stands in: it has no function of that name, so the C library goes
# on to the next source instead of mapping the host's module.
SHADOWED = ("db", "nis", "nisplus", "mdns", "mdns_minimal", "mdns4", "mdns4_minimal", "libvirt")

PRUNED = (
    LeftOut("lib/python3*/EXTERNALLY-MANAGED", "speaks of Debian's own Python, not of this one"),
    LeftOut("lib/python3*/sitecustomize.py", "Debian's crash reporter hook; ours takes its place"),
    LeftOut("lib/python3*/idlelib/*", "a graphical editor; there is no Tk here"),
    LeftOut("lib/python3*/tkinter/*", "there is no Tk here"),
    LeftOut("lib/python3*/turtle*", "needs Tk"),
    LeftOut("lib/python3*/pydoc_data/*", "texts for help() at the prompt, half a megabyte"),
    LeftOut("lib/python3*/lib2to3/tests/*", "tests"),
    LeftOut("lib/python3*/*.png", "icons"),
    LeftOut("lib/python3*/lib-dynload/_dbm.*", "needs Berkeley DB; dbm has SQLite or plain files"),
    LeftOut("lib/python3*/lib-dynload/nis.*", "needs NIS, RPC and Kerberos; not in CPython 3.13"),
    LeftOut("lib/libpcprofile.so", "a preload for profiling C programs"),
    LeftOut("lib/libmemusage.so", "a preload for profiling C programs"),
    LeftOut("lib/libSegFault.so", "a preload for debugging C programs"),
    LeftOut("lib/libc_malloc_debug.so.0", "a preload for debugging C programs"),
    LeftOut("lib/libthread_db.so.1", "for debuggers"),
    LeftOut("lib/libBrokenLocale.so.1", "for programs of the 1990s"),
    LeftOut("lib/libhistory.so.8", "libreadline has it inside"),
    LeftOut("lib/libformw.so.6", "no module uses it"),
    LeftOut("lib/libmenuw.so.6", "no module uses it"),
    LeftOut("lib/libtic.so.6", "for compiling terminal descriptions"),
    LeftOut("lib/libmpdec++.so.3", "no module uses it"),
    LeftOut("lib/libexpatw.so.1", "no module uses it"),
    LeftOut("lib/libpsx.so.2", "no module uses it"),
)


def place(prefix: str) -> Place:
    """Where a runtime for `prefix` finds itself."""
    return Place(f"{prefix}/lib/{LOADER}", ("$ORIGIN/../lib", f"{prefix}/lib"))


def assemble(
    debs: Sequence[Path], prefix: str, patchelf: Path, out: Path, sitecustomize: Path | None
) -> None:
    """Write the tree of a private CPython to `out` (replaced), to be used at `prefix`.

    Raises Failure when the packages hold no CPython or a library they need is missing.
    """
    where = place(prefix)
    with tempfile.TemporaryDirectory(prefix="runtime-") as scratch, fresh_dir(out) as tree:
        packages = Packages(debs, Path(scratch))
        version = _find_python(packages.root)
        contents = Contents(
            programs=(f"bin/{version}",),
            data=(f"lib/{version}",),
            libraries=("*",),
            links={"bin/python3": version, "bin/python": version},
            left_out=PRUNED,
        )
        lay_out(packages, contents, tree)
        add_libraries(packages, contents, where, tree)
        _modules_of_libraries(packages, tree)
        _pip_wheel(packages, tree, version)
        if sitecustomize is not None:
            shutil.copyfile(sitecustomize, tree / "lib" / version / "sitecustomize.py")
        finish(packages, contents, where, patchelf, tree)


def _find_python(root: Path) -> str:
    found = sorted(path.name for path in (root / "usr/bin").glob("python3.*"))
    programs = [name for name in found if re.fullmatch(r"python3\.\d+", name)]
    if len(programs) != 1 or not (root / "usr/lib" / programs[0] / "os.py").is_file():
        raise Failure(
            f"the packages hold no CPython, or more than one: {', '.join(programs) or 'none'}",
            hint="give python3.N, python3.N-minimal, libpython3.N-minimal and libpython3.N-stdlib",
        )
    return programs[0]


def _modules_of_libraries(packages: Packages, tree: Path) -> None:
    """What libraries load by name: OpenSSL's legacy algorithms, modules of the name service."""
    for folder in LIBRARY_FOLDERS:
        # For who sets OPENSSL_MODULES.
        for path in sorted((packages.root / folder / "ossl-modules").glob("*.so")):
            packages.take(path, tree / "lib/ossl-modules" / path.name)
    if (tree / "lib/libnss_files.so.2").exists():
        for name in SHADOWED:
            (tree / f"lib/libnss_{name}.so.2").symlink_to("libnss_files.so.2")


def _pip_wheel(packages: Packages, tree: Path, version: str) -> None:
    """pip for `python -m venv`, when the packages bring it (a build needs it, a host does not).

    Debian keeps it in a folder outside Python's; here it lies where upstream CPython keeps it.
    """
    for path in sorted((packages.root / "usr/share/python-wheels").glob("pip-*.whl")):
        packages.take(path, tree / "lib" / version / "ensurepip/_bundled" / path.name)
    # The compiled-in folder is the host's: a pip of the host must not be taken.
    for path in sorted((tree / "lib" / version).glob("_sysconfigdata_*.py")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text(
            "".join(line for line in lines if "'WHEEL_PKG_DIR'" not in line), encoding="utf-8"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; see --help."""
    parser = argparse.ArgumentParser(
        prog="python -m releasekit.runtime",
        description="Assemble a private, relocatable CPython from Debian packages.",
    )
    parser.add_argument("--debs", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("--prefix", required=True, help="where the tree will be used")
    parser.add_argument("--patchelf", type=Path, required=True, help="the program patchelf")
    parser.add_argument("--out", type=Path, required=True, help="folder to write (replaced)")
    parser.add_argument("--sitecustomize", type=Path, help="module that every start-up imports")
    args = parser.parse_args(argv)
    assemble(args.debs, args.prefix, args.patchelf, args.out, args.sitecustomize)
    return 0


if __name__ == "__main__":
    run_main(main)
