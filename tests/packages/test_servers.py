"""Programs of servers run on the loader and the libraries of our packages, and on no others."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from payload import Package
from unpacked import RUNTIME, SERVER_PACKAGES, SERVERS, Unpacked

from releasekit.elf import Elf, is_elf, read_elf
from releasekit.relocate import LOADER

Packages = Mapping[str, Package]

ALSO = {"backendai-docker": ("backendai-containerd",)}  # units beside its own
COMMANDS = {"backendai-nfs": ("/usr/sbin/mount.backendai-nfs",)}  # links that others look for there
TIMEOUT = 60  # seconds for one program on a busy machine

pytestmark = pytest.mark.parametrize("package", SERVER_PACKAGES)


def folder(package: str) -> str:
    """Where a server's files lie on a host."""
    return f"{SERVERS}/{package.removeprefix('backendai-')}"


def elf_files(unpacked: Unpacked, top: str) -> dict[str, Elf]:
    """What the loader reads of the programs, libraries and modules below a folder of a host, by path."""
    paths = [path for path in unpacked.owners if path.startswith(f"{top}/")]
    files = {path: unpacked.root / path.lstrip("/") for path in sorted(paths)}
    return {path: read_elf(file) for path, file in files.items() if is_elf(file)}


def libraries(unpacked: Unpacked, top: str) -> set[str]:
    """Names of the libraries that the loader finds in the folder `lib` of a tree."""
    return {path.name for path in (unpacked.root / top.lstrip("/") / "lib").glob("*.so*")}


def test_a_server_lies_below_its_own_folder(debs: Packages, rpms: Packages, package: str) -> None:
    places = (f"{folder(package)}/", f"/usr/share/doc/{package}/")
    single = {
        *(f"/usr/lib/systemd/system/{unit}.service" for unit in (package, *ALSO.get(package, ()))),
        f"/usr/share/lintian/overrides/{package}",
        *COMMANDS.get(package, ()),
    }
    for packages in (debs, rpms):
        paths = set(packages[package].paths("file", "link"))
        assert sorted(p for p in paths - single if not p.startswith(places)) == []
        assert any(path.startswith(places[0]) for path in paths)


def test_every_library_that_is_needed_is_the_servers_or_the_runtimes(
    unpacked: Unpacked, package: str
) -> None:
    top = folder(package)
    there = libraries(unpacked, top) | libraries(unpacked, RUNTIME)
    found = elf_files(unpacked, top)
    missing = {path: sorted(set(elf.needed) - there) for path, elf in found.items()}
    assert found and {path: names for path, names in missing.items() if names} == {}


def test_no_library_is_in_the_server_and_in_the_runtime(unpacked: Unpacked, package: str) -> None:
    ours = libraries(unpacked, folder(package))
    assert sorted(ours & libraries(unpacked, RUNTIME)) == []


def test_every_library_of_a_server_is_needed_by_something_there(
    unpacked: Unpacked, package: str
) -> None:
    top = folder(package)
    needed = set().union(*(elf.needed for elf in elf_files(unpacked, top).values()))
    assert sorted(libraries(unpacked, top) - needed) == []


def test_programs_have_the_runtimes_loader_and_our_search_path_and_nothing_else_has_one(
    unpacked: Unpacked, package: str
) -> None:
    top = folder(package)
    found = elf_files(unpacked, top)
    programs = {path: elf for path, elf in found.items() if elf.interpreter}
    assert programs
    for path, elf in programs.items():
        assert elf.interpreter == f"{RUNTIME}/lib/{LOADER}", path
        assert elf.rpath == f"{top}/lib:{RUNTIME}/lib", path
    assert [path for path, elf in found.items() if elf.runpath] == []
    assert [path for path in found.keys() - programs.keys() if found[path].rpath] == []


def test_every_symbol_of_a_program_is_found_in_our_libraries(
    unpacked: Unpacked, package: str, tmp_path: Path
) -> None:
    """As ldd -r sees it: the loader resolves everything and starts nothing."""
    top = unpacked.root / folder(package).lstrip("/")
    runtime = unpacked.root / RUNTIME.lstrip("/") / "lib"
    loader = tmp_path / LOADER
    shutil.copyfile(runtime / LOADER, loader)
    loader.chmod(0o755)
    asked = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "yes"}
    for path, elf in elf_files(unpacked, folder(package)).items():
        if not elf.interpreter:
            continue
        program = unpacked.root / path.lstrip("/")
        done = subprocess.run(
            [loader, "--library-path", f"{top}/lib:{runtime}", program],
            env=asked,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0 and not re.search("undefined symbol|not found", said), said
        mapped = [Path(library) for library in re.findall(r"=> (\S+) \(", said)]
        assert {library.parent for library in mapped} <= {top / "lib", runtime, tmp_path}, path
        assert set(elf.needed) <= {library.name for library in mapped}, path
