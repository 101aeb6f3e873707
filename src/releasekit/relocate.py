"""Programs out of Debian's binary packages, moved to another prefix on a loader and libraries of ours.

A tree keeps Debian's shape without `usr/`: DIR/{bin,sbin,lib,share}, with the shared libraries beside
each other in DIR/lib, each under its own name (DT_SONAME), and the licences in DIR/share/licenses. A
program's PT_INTERP is a loader of ours; its DT_RPATH names our folders. DT_RPATH, not DT_RUNPATH: it
comes before LD_LIBRARY_PATH and also serves the libraries of libraries and of modules. So the host's
libraries, whatever their age, are never mapped. These paths are absolute: a tree works at its prefix.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from releasekit.debfile import control, extract
from releasekit.elf import Elf, is_elf, read_elf
from releasekit.errors import Failure
from releasekit.files import fresh_dir

LOADER = "ld-linux-x86-64.so.2"
# Before /usr was merged, libraries lay below /lib as well.
LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")


@dataclass(frozen=True)
class LeftOut:
    """Files of the tree that are left out; patterns are relative to DIR, `*` spans folders."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class Contents:
    """What a tree takes of its packages. Patterns are paths below usr/; a folder is all that is in it.

    programs: started by name, so they get the loader and the search path; data: files as they are,
    modules among them; libraries: patterns of names that are loaded without a header asking for them;
    links: {path in the tree: target beside it}.
    """

    programs: tuple[str, ...]
    data: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def keeps(self, name: str) -> bool:
        """Whether no rule leaves out this path of the tree."""
        return not any(fnmatch.fnmatchcase(name, rule.pattern) for rule in self.left_out)


@dataclass(frozen=True)
class Place:
    """Where the tree is used, and with which libraries of others.

    loader: path of the program that loads programs; path: folders of libraries, the tree's own first;
    provided: names of the libraries in the folders that are not the tree's own.
    """

    loader: str
    path: tuple[str, ...]
    provided: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raise Failure for a loader that is no absolute path: the kernel looks it up."""
        if not self.loader.startswith("/"):
            raise Failure(f"loader {self.loader!r} is not an absolute path")

    @property
    def rpath(self) -> str:
        """The search path as a program carries it."""
        return ":".join(self.path)


class Packages:
    """Debian packages, unpacked over each other below `root`."""

    def __init__(self, debs: Sequence[Path], root: Path) -> None:
        """Unpack `debs`; Failure where one is damaged."""
        self.root = root.resolve()
        self.names: list[str] = []
        self._owner: dict[Path, str] = {}
        self._used: set[str] = set()
        for deb in debs:
            name = control(deb)["Package"]
            self.names.append(name)
            self._owner.update((path, name) for path in extract(deb, self.root))

    def take(self, source: Path, target: Path, *, by: str = "") -> None:
        """Copy a file of theirs; `by`: the package whose licence it is, if it is one."""
        owner = self._owner[source.resolve()]
        if owner != by:
            self._used.add(owner)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    def check_used(self) -> None:
        """Raise Failure for a package of which nothing was taken: SBOM and licences name all of them.

        The licence of another package is something: that of GCC's libraries lies in gcc-N-base.
        """
        idle = sorted(set(self.names) - self._used)
        if idle:
            raise Failure(
                f"nothing is taken of: {', '.join(idle)}",
                hint="take the package out of the set and run scripts/lock-debian",
            )

    def files(self, patterns: Iterable[str]) -> Iterator[tuple[str, Path]]:
        """(path below usr/, file to read) of what the patterns name; Failure where one names nothing.

        A link to a file is followed, as Debian's often lead elsewhere; one that leads out of the
        packages, or to a folder, is passed over.
        """
        usr = self.root / "usr"
        for pattern in patterns:
            paths = (path for top in usr.glob(pattern) for path in (top, *top.rglob("*")))
            found = {path: real for path in paths if (real := self.real(path))}
            if not found:
                raise Failure(
                    f"the packages have no file usr/{pattern}",
                    hint=f"they are: {', '.join(sorted(self.names))}",
                )
            for path, real in sorted(found.items()):
                yield path.relative_to(usr).as_posix(), real

    def real(self, path: Path) -> Path | None:
        """The regular file that a path of the packages leads to, if it is one of theirs."""
        return _file_below(self.root, path)

    def libraries(self) -> dict[str, Path]:
        """Every shared library by its own name, which is what programs ask for."""
        found = {}
        for folder in LIBRARY_FOLDERS:
            for path in sorted((self.root / folder).glob("*.so*")):
                if not path.is_symlink() and is_elf(path):
                    found[read_elf(path).soname or path.name] = path
        return found


def assemble(
    debs: Sequence[Path], contents: Contents, place: Place, patchelf: Path, out: Path
) -> None:
    """Write the tree of `contents` to `out` (replaced).

    Raises Failure when something that is named is not in the packages, when a library is missing, or
    when a package gives nothing.
    """
    with tempfile.TemporaryDirectory(prefix="relocate-") as scratch, fresh_dir(out) as tree:
        packages = Packages(debs, Path(scratch))
        check_left_out(packages, contents)
        lay_out(packages, contents, tree)
        add_libraries(packages, contents, place, tree)
        finish(packages, contents, place, patchelf, tree)
        packages.check_used()


def check_left_out(packages: Packages, contents: Contents) -> None:
    """Raise Failure for a rule that leaves out nothing."""
    names = [name for name, _ in packages.files([*contents.programs, *contents.data])]
    names += [f"lib/{name}" for name in packages.libraries()]
    for rule in contents.left_out:
        if not any(fnmatch.fnmatchcase(name, rule.pattern) for name in names):
            raise Failure(
                f"{rule.pattern} is left out, but nothing has that path",
                hint="take the row out, or give a path as it is in the tree",
            )


def lay_out(packages: Packages, contents: Contents, tree: Path) -> None:
    """Copy programs and data to their place and make the links."""
    for name, real in packages.files([*contents.programs, *contents.data]):
        if contents.keeps(name):
            packages.take(real, tree / name)
    for name, target in sorted(contents.links.items()):
        link = tree / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        if not _file_below(tree, link):
            raise Failure(
                f"the link {name} leads to no file of the tree: {target}",
                hint="give the path of a file from the folder of the link",
            )


def add_libraries(packages: Packages, contents: Contents, place: Place, tree: Path) -> None:
    """Add the libraries that are named, those that files of the tree need, those they need, and so on."""
    have = packages.libraries()
    queue: list[str] = []
    for pattern in contents.libraries:
        named = [name for name in have if fnmatch.fnmatchcase(name, pattern)]
        if not named:
            raise Failure(
                f"the packages have no library {pattern}",
                hint=f"they have: {', '.join(sorted(have)) or 'none'}",
            )
        queue += named
    for _, elf in _elf_files(tree):
        queue += elf.needed
    while queue:
        name = queue.pop()
        target = tree / "lib" / name
        if name not in have or name in place.provided or target.exists():
            continue
        if contents.keeps(f"lib/{name}"):
            packages.take(have[name], target)
            queue += read_elf(target).needed


def finish(
    packages: Packages, contents: Contents, place: Place, patchelf: Path, tree: Path
) -> None:
    """What every tree gets at its end: search paths, licences, modes; and the check that it is whole."""
    programs = {
        tree / name for name, _ in packages.files(contents.programs) if contents.keeps(name)
    }
    for program in sorted(programs):
        set_paths(program, place, patchelf)
    add_licenses(packages, tree)
    _normalise(tree, programs)
    check_closed(tree, place)


def set_paths(program: Path, place: Place, patchelf: Path) -> None:
    """Give a program our loader and search path; a static one, or a script, needs neither."""
    if not is_elf(program) or not read_elf(program).interpreter:
        return
    argv = [str(patchelf), "--set-interpreter", place.loader]
    argv += ["--force-rpath", "--set-rpath", place.rpath, str(program)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failure(f"patchelf does not start: {patchelf}: {error.strerror}") from None
    if done.returncode != 0:
        raise Failure(f"patchelf failed on {program.name}: {done.stderr.strip()}")


def add_licenses(packages: Packages, tree: Path) -> None:
    """The copyright file of every package."""
    for name in sorted(packages.names):
        real = packages.real(packages.root / "usr/share/doc" / name / "copyright")
        if real is None:
            raise Failure(f"Debian package {name}: its copyright file is missing")
        packages.take(real, tree / "share/licenses" / name / "copyright", by=name)


def _normalise(tree: Path, programs: set[Path]) -> None:
    """Modes 755 and 644, whatever the umask. Shared libraries need no x bit, the loader does."""
    executable = {*programs, tree / "lib" / LOADER}
    for folder, _, names in os.walk(tree):
        os.chmod(folder, 0o755)
        for path in (Path(folder) / name for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path in executable else 0o644)


def check_closed(tree: Path, place: Place) -> None:
    """Raise Failure unless our search path finds every library that a file of the tree needs."""
    missing: dict[str, list[str]] = {}
    for name, elf in _elf_files(tree):
        if not elf.x86_64:
            raise Failure(f"{name} is not for x86_64", hint="give packages of architecture amd64")
        if elf.runpath:
            raise Failure(f"{name} has DT_RUNPATH {elf.runpath}, which hides the tree's DT_RPATH")
        if elf.rpath not in ("", place.rpath):
            raise Failure(f"{name} has DT_RPATH {elf.rpath}, which comes before the tree's")
        for library in elf.needed:
            if library not in place.provided and not (tree / "lib" / library).is_file():
                missing.setdefault(library, []).append(name)
    if missing:
        lines = [f"{library} (needed by {', '.join(by)})" for library, by in missing.items()]
        raise Failure(
            "the packages are not complete, libraries are missing: " + "; ".join(sorted(lines)),
            hint="add their Debian packages to the set and run scripts/lock-debian, or leave out "
            "what needs them",
        )


def _elf_files(tree: Path) -> Iterator[tuple[str, Elf]]:
    """(path in the tree, what the loader reads of it) of its programs, libraries and modules; sorted."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink() and is_elf(path):
            yield path.relative_to(tree).as_posix(), read_elf(path)


def _file_below(folder: Path, path: Path) -> Path | None:
    """The regular file that a path leads to, if it lies below `folder`."""
    real = path.resolve()
    return real if real.is_file() and folder.resolve() in real.parents else None
