"""A private, relocatable CPython assembled from Debian's binary packages.

The tree is DIR/{bin,lib,share/licenses}. Everything it runs with is in it: the interpreter's
PT_INTERP is PREFIX/lib/ld-linux-x86-64.so.2 and its DT_RPATH $ORIGIN/../lib, then PREFIX/lib (for
copies of it, as `venv --copies` makes them). DT_RPATH, not DT_RUNPATH: it comes before
LD_LIBRARY_PATH and also serves the libraries of extension modules. So the host's libraries,
whatever their age, are never mapped. The path of the loader is absolute: the tree works at PREFIX.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from releasekit.debfile import control, extract
from releasekit.elf import is_elf, read_elf
from releasekit.errors import Failure, run_main
from releasekit.files import fresh_dir

# Raise this when the same packages give another tree: caches are keyed by it.
RECIPE = "2"
LOADER = "ld-linux-x86-64.so.2"
RPATH = "$ORIGIN/../lib"
_LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")

# NSS modules that /etc/nsswitch.conf of some hosts names and that add nothing here. A link to the
# C library's own module `files` stands in: it has no function of that name, so the C library goes
# on to the next source instead of mapping the host's module.
SHADOWED = ("db", "nis", "nisplus", "mdns", "mdns_minimal", "mdns4", "mdns4_minimal", "libvirt")


@dataclass(frozen=True)
class Prune:
    """Files of the tree that are left out; patterns are relative to DIR, `*` spans folders."""

    pattern: str
    reason: str


PRUNED = (
    Prune("lib/python3*/EXTERNALLY-MANAGED", "speaks of Debian's own Python, not of this one"),
    Prune("lib/python3*/sitecustomize.py", "Debian's crash reporter hook; ours takes its place"),
    Prune("lib/python3*/idlelib/*", "a graphical editor; there is no Tk here"),
    Prune("lib/python3*/tkinter/*", "there is no Tk here"),
    Prune("lib/python3*/turtle*", "needs Tk"),
    Prune("lib/python3*/pydoc_data/*", "texts for help() at the prompt, half a megabyte"),
    Prune("lib/python3*/lib2to3/tests/*", "tests"),
    Prune("lib/python3*/*.png", "icons"),
    Prune("lib/python3*/lib-dynload/_dbm.*", "needs Berkeley DB; dbm has SQLite or plain files"),
    Prune("lib/python3*/lib-dynload/nis.*", "needs NIS, RPC and Kerberos; gone from CPython 3.13"),
    Prune("lib/libpcprofile.so", "a preload for profiling C programs"),
    Prune("lib/libmemusage.so", "a preload for profiling C programs"),
    Prune("lib/libSegFault.so", "a preload for debugging C programs"),
    Prune("lib/libc_malloc_debug.so.0", "a preload for debugging C programs"),
    Prune("lib/libthread_db.so.1", "for debuggers"),
    Prune("lib/libBrokenLocale.so.1", "for programs of the 1990s"),
    Prune("lib/libhistory.so.8", "libreadline has it inside"),
    Prune("lib/libformw.so.6", "no module uses it"),
    Prune("lib/libmenuw.so.6", "no module uses it"),
    Prune("lib/libtic.so.6", "for compiling terminal descriptions"),
    Prune("lib/libmpdec++.so.3", "no module uses it"),
    Prune("lib/libexpatw.so.1", "no module uses it"),
    Prune("lib/libpsx.so.2", "no module uses it"),
)


def assemble(
    debs: Sequence[Path], prefix: str, patchelf: Path, out: Path, sitecustomize: Path | None
) -> None:
    """Write the tree of a private CPython to `out` (replaced), to be used at `prefix`.

    Raises Failure when the packages hold no CPython or a library they need is missing.
    """
    if not prefix.startswith("/"):
        raise Failure(f"prefix {prefix!r} is not an absolute path")
    with tempfile.TemporaryDirectory(prefix="runtime-") as scratch, fresh_dir(out) as tree:
        root = Path(scratch)
        names = [_unpack(deb, root) for deb in debs]
        version = _find_python(root)
        _libraries(root, tree)
        _python(root, tree, version)
        _pip_wheel(root, tree, version)
        _prune(tree)
        if sitecustomize is not None:
            shutil.copyfile(sitecustomize, tree / "lib" / version / "sitecustomize.py")
        _set_paths(tree / "bin" / version, prefix, patchelf)
        _licences(root, tree, names)
        _normalise(tree)
        check_closed(tree)


def _unpack(deb: Path, root: Path) -> str:
    extract(deb, root)
    return control(deb)["Package"]


def _find_python(root: Path) -> str:
    found = sorted(path.name for path in (root / "usr/bin").glob("python3.*"))
    programs = [name for name in found if re.fullmatch(r"python3\.\d+", name)]
    if len(programs) != 1 or not (root / "usr/lib" / programs[0] / "os.py").is_file():
        raise Failure(
            f"the packages hold no CPython, or more than one: {', '.join(programs) or 'none'}",
            hint="give python3.N, python3.N-minimal, libpython3.N-minimal and libpython3.N-stdlib",
        )
    return programs[0]


def _libraries(root: Path, tree: Path) -> None:
    """Every shared library under its own name (DT_SONAME), which is what programs ask for."""
    target = tree / "lib"
    target.mkdir()
    for folder in _LIBRARY_FOLDERS:
        for path in sorted((root / folder).glob("*.so*")):
            if not path.is_symlink() and is_elf(path):
                _copy(path, target / (read_elf(path).soname or path.name))
        # OpenSSL's legacy algorithms: for who sets OPENSSL_MODULES.
        for path in sorted((root / folder / "ossl-modules").glob("*.so")):
            _copy(path, target / "ossl-modules" / path.name)
    if (target / "libnss_files.so.2").exists():
        for name in SHADOWED:
            (target / f"libnss_{name}.so.2").symlink_to("libnss_files.so.2")


def _python(root: Path, tree: Path, version: str) -> None:
    source = root / "usr/lib" / version
    for path in sorted(source.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        # Debian's links here point at files of the same tree, or at /etc (see PRUNED).
        real = path.resolve()
        if real.is_file() and root.resolve() in real.parents:
            _copy(real, tree / "lib" / version / path.relative_to(source))
    _copy(root / "usr/bin" / version, tree / "bin" / version)
    for name in ("python3", "python"):
        (tree / "bin" / name).symlink_to(version)


def _pip_wheel(root: Path, tree: Path, version: str) -> None:
    """pip for `python -m venv`, when the packages bring it (a build needs it, a host does not).

    Debian keeps it in a folder outside Python's; here it lies where upstream CPython keeps it.
    """
    for path in sorted((root / "usr/share/python-wheels").glob("pip-*.whl")):
        _copy(path, tree / "lib" / version / "ensurepip/_bundled" / path.name)
    # The compiled-in folder is the host's: a pip of the host must not be taken.
    for path in sorted((tree / "lib" / version).glob("_sysconfigdata_*.py")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text(
            "".join(line for line in lines if "'WHEEL_PKG_DIR'" not in line), encoding="utf-8"
        )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    if source.stat().st_mode & 0o111:
        target.chmod(0o755)


def _prune(tree: Path) -> None:
    for path, name in list(_files(tree)):
        if any(fnmatch.fnmatchcase(name, rule.pattern) for rule in PRUNED):
            path.unlink()
    for folder, _, _ in sorted(os.walk(tree), reverse=True):
        if not os.listdir(folder):
            os.rmdir(folder)


def _set_paths(program: Path, prefix: str, patchelf: Path) -> None:
    argv = [
        str(patchelf),
        "--set-interpreter",
        f"{prefix}/lib/{LOADER}",
        "--force-rpath",
        "--set-rpath",
        f"{RPATH}:{prefix}/lib",
        str(program),
    ]
    program.chmod(0o755)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failure(f"patchelf does not start: {patchelf}: {error.strerror}") from None
    if done.returncode != 0:
        raise Failure(f"patchelf failed on {program.name}: {done.stderr.strip()}")


def _licences(root: Path, tree: Path, names: Sequence[str]) -> None:
    for name in sorted(names):
        source = root / "usr/share/doc" / name / "copyright"
        real = source.resolve()
        if not real.is_file() or root.resolve() not in real.parents:
            raise Failure(f"Debian package {name}: its copyright file is missing")
        _copy(real, tree / "share/licenses" / name / "copyright")


def _normalise(tree: Path) -> None:
    """Modes 755 and 644, whatever the umask. Shared libraries need no x bit, the loader does."""
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                program = folder == str(tree / "bin") or name == LOADER
                path.chmod(0o755 if program else 0o644)


def _files(tree: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(tree.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield path, path.relative_to(tree).as_posix()


def check_closed(tree: Path) -> None:
    """Raise Failure unless every library that a file of the tree needs is in its lib/."""
    missing: dict[str, list[str]] = {}
    for path, name in _files(tree):
        if path.is_symlink() or not is_elf(path):
            continue
        elf = read_elf(path)
        if not elf.x86_64:
            raise Failure(f"{name} is not for x86_64", hint="give packages of architecture amd64")
        if elf.runpath:
            raise Failure(f"{name} has DT_RUNPATH {elf.runpath}, which hides the tree's DT_RPATH")
        for library in elf.needed:
            if not (tree / "lib" / library).is_file():
                missing.setdefault(library, []).append(name)
    if missing:
        lines = [f"{library} (needed by {', '.join(by)})" for library, by in missing.items()]
        raise Failure(
            "the packages are not complete, libraries are missing: " + "; ".join(sorted(lines)),
            hint="add their Debian packages to the set in src/bootstrap/lock_debian.py and run "
            "scripts/lock-debian, or prune what needs them in src/releasekit/runtime.py",
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
