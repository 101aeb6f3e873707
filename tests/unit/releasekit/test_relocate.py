"""Promises of trees of moved programs: complete, of nothing else, and blind for the host's libraries."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from releasekit.errors import Failure
from releasekit.files import sha256_of
from releasekit.relocate import Contents, LeftOut, Place, assemble, check_closed

MakeDeb = Callable[..., Path]
MakeElf = Callable[..., bytes]

LIB = "./usr/lib/x86_64-linux-gnu"
DOC = "./usr/share/doc"
LOADER = "/opt/runtime/lib/ld-linux-x86-64.so.2"
PLACE = Place(LOADER, ("/opt/serve/lib", "/opt/runtime/lib"), frozenset({"libc.so.6", "libz.so.1"}))
CONTENTS = Contents(programs=("bin/*",), data=("lib/serve", "share/serve/*.conf"))


@pytest.fixture
def debs(tmp_path: Path, make_deb: MakeDeb, make_elf: MakeElf) -> dict[str, Path]:
    """A server, libraries of its own and of the runtime, and a package that only holds a licence."""
    loader = "/lib64/ld-linux-x86-64.so.2"
    server = {
        "./etc/serve/out": b"the host's",
        "./usr/bin/serve": make_elf(needed=["libc.so.6", "liba.so.1"], interpreter=loader),
        "./usr/bin/static": make_elf(),
        "./usr/bin/script": b"#!/bin/sh\n",
        "./usr/lib/serve/module.so": make_elf(needed=["libz.so.1"]),
        "./usr/lib/serve/texts/one": b"1",
        "./usr/lib/serve/texts/two": "one",
        "./usr/lib/serve/texts/host": "/etc/localtime",
        "./usr/share/serve/a.conf": b"a",
        "./usr/share/serve/b.txt": b"b",
        f"{DOC}/serve/copyright": b"MIT",
    }
    liba = {
        f"{LIB}/liba.so.1": "liba-1.2.so",
        f"{LIB}/liba-1.2.so": make_elf(soname="liba.so.1", needed=["libb.so.1", "libc.so.6"]),
        f"{LIB}/libz.so.1": make_elf(soname="libz.so.1"),
        f"{LIB}/libunused.so.1": make_elf(soname="libunused.so.1", needed=["libc.so.6"]),
        f"{DOC}/liba/copyright": b"BSD",
    }
    libb = {f"{LIB}/libb.so.1": make_elf(soname="libb.so.1"), f"{DOC}/libb": "base"}
    packages = {
        "serve": server,
        "liba": liba,
        "libb": libb,
        "base": {f"{DOC}/base/copyright": b"GPL"},
    }
    return {
        name: make_deb(tmp_path / f"{name}.deb", files, package=name)
        for name, files in packages.items()
    }


@pytest.fixture
def build(tmp_path: Path, debs: dict[str, Path], patchelf: Path) -> Callable[..., Path]:
    """build(contents=CONTENTS, place=PLACE, **fields of the contents) -> the tree."""

    def make(contents: Contents = CONTENTS, place: Place = PLACE, **fields: Any) -> Path:
        out = tmp_path / "out"
        assemble(list(debs.values()), replace(contents, **fields), place, patchelf, out)
        return out

    return make


Build = Callable[..., Path]


def names(tree: Path) -> set[str]:
    return {p.relative_to(tree).as_posix() for p in tree.rglob("*") if not p.is_dir()}


def test_a_tree_holds_what_is_named_with_the_libraries_and_licences_of_it_and_nothing_else(
    build: Build,
) -> None:
    tree = build()
    assert names(tree) == {
        "bin/serve",
        "bin/static",
        "bin/script",
        "lib/serve/module.so",
        "lib/serve/texts/one",
        "lib/serve/texts/two",
        "share/serve/a.conf",
        "lib/liba.so.1",  # by its own name, whatever its file was called
        "lib/libb.so.1",  # which liba needs
        *(f"share/licenses/{name}/copyright" for name in ("base", "liba", "libb", "serve")),
    }
    assert (tree / "share/licenses/libb/copyright").read_bytes() == b"GPL"


def test_a_program_is_given_our_loader_and_our_folders_by_a_forced_rpath(
    build: Build, patchelf: Path
) -> None:
    build()
    (call,) = (patchelf.parent / "called").read_text().splitlines()
    words = f"--set-interpreter {LOADER} --force-rpath --set-rpath /opt/serve/lib:/opt/runtime/lib"
    assert call.startswith(words) and call.endswith("/bin/serve")


def test_programs_without_a_loader_and_scripts_keep_their_bytes(
    build: Build, make_elf: MakeElf
) -> None:
    tree = build()
    assert (tree / "bin/static").read_bytes() == make_elf()
    assert (tree / "bin/script").read_bytes() == b"#!/bin/sh\n"


def test_a_library_that_the_runtime_has_is_not_copied_and_otherwise_it_is(build: Build) -> None:
    assert not (build() / "lib/libz.so.1").exists()
    place = replace(PLACE, provided=frozenset({"libc.so.6"}))
    assert (build(place=place) / "lib/libz.so.1").is_file()


def test_a_library_that_is_loaded_by_name_is_added_when_it_is_named(build: Build) -> None:
    assert (build(libraries=("libun*.so.1",)) / "lib/libunused.so.1").is_file()


def test_links_to_files_become_files_and_those_out_of_the_packages_are_passed_over(
    build: Build,
) -> None:
    texts = build() / "lib/serve/texts"
    assert sorted(path.name for path in texts.iterdir()) == ["one", "two"]
    assert not (texts / "two").is_symlink() and (texts / "two").read_bytes() == b"1"


def test_programs_may_be_run_and_nothing_else_whatever_the_umask_and_the_order(
    build: Build, debs: dict[str, Path]
) -> None:
    seen = []
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            tree = build()
        finally:
            os.umask(before)
        seen.append(
            {name: (sha256_of(tree / name), (tree / name).stat().st_mode) for name in names(tree)}
        )
        modes = {name for name in names(tree) if (tree / name).stat().st_mode & 0o777 == 0o755}
        assert modes == {"bin/serve", "bin/static", "bin/script"}
        assert {p.stat().st_mode & 0o777 for p in tree.rglob("*") if p.is_dir()} == {0o755}
        for name in reversed(list(debs)):
            debs[name] = debs.pop(name)
    assert seen[0] == seen[1]


def test_links_are_made_beside_what_they_name(build: Build) -> None:
    tree = build(links={"bin/server": "serve", "sbin/tool": "../bin/script"})
    assert os.readlink(tree / "bin/server") == "serve"
    assert (tree / "sbin/tool").read_bytes() == b"#!/bin/sh\n"


@pytest.mark.parametrize("target", ["absent", "/bin/sh", "../../../../../../../bin/sh"])
def test_a_link_that_leads_to_nothing_of_the_tree_is_refused(build: Build, target: str) -> None:
    with pytest.raises(Failure, match=f"the link bin/x leads to no file of the tree: {target}"):
        build(links={"bin/x": target})


def test_what_is_left_out_is_not_there_and_nobody_looks_for_its_libraries(
    build: Build, tmp_path: Path, debs: dict[str, Path], make_deb: MakeDeb, make_elf: MakeElf
) -> None:
    jit = {
        "./usr/lib/serve/jit/llvm.so": make_elf(needed=["libLLVM.so.19"]),
        "./usr/lib/serve/small": b"",
        f"{DOC}/jit/copyright": b"",
    }
    debs["jit"] = make_deb(tmp_path / "jit.deb", jit, package="jit")
    tree = build(left_out=(LeftOut("lib/serve/jit/*", "large"),))
    assert (tree / "lib/serve/small").is_file() and not (tree / "lib/serve/jit").exists()


def test_a_missing_library_is_named_with_who_needs_it_and_no_tree_is_left(
    build: Build, tmp_path: Path, debs: dict[str, Path]
) -> None:
    del debs["libb"], debs["base"]
    with pytest.raises(Failure, match=r"libb\.so\.1 \(needed by lib/liba\.so\.1\)") as caught:
        build()
    assert "scripts/lock-debian" in str(caught.value.hint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"programs": ("sbin/*",)}, r"have no file usr/sbin/\*"),
        ({"data": ("share/nothing",)}, "have no file usr/share/nothing"),
        ({"data": ("lib/serve/texts/host",)}, "have no file usr/lib/serve/texts/host"),
        ({"libraries": ("libnss_*",)}, r"have no library libnss_\*"),
        ({"left_out": (LeftOut("usr/bin/static", "x"),)}, "usr/bin/static is left out, but"),
    ],
)
def test_what_names_nothing_is_refused(
    build: Build, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Failure, match=complaint):
        build(**fields)


def test_a_package_of_which_nothing_is_taken_is_refused(
    build: Build, tmp_path: Path, debs: dict[str, Path], make_deb: MakeDeb
) -> None:
    idle = {"./usr/bin-of-another/x": b"", f"{DOC}/idle/copyright": b"MIT"}
    debs["idle"] = make_deb(tmp_path / "idle.deb", idle, package="idle")
    with pytest.raises(Failure, match="nothing is taken of: idle"):
        build()


def test_a_package_whose_every_file_is_left_out_gives_nothing(build: Build) -> None:
    kept = Contents(("bin/serve",), left_out=(LeftOut("bin/serve", "a test"),))
    with pytest.raises(Failure, match="nothing is taken of: liba, libb, serve"):
        build(kept)


def test_a_package_without_a_licence_is_refused(
    build: Build, tmp_path: Path, debs: dict[str, Path], make_deb: MakeDeb
) -> None:
    debs["bare"] = make_deb(tmp_path / "bare.deb", {"./usr/bin/x": b"#!"}, package="bare")
    with pytest.raises(Failure, match="Debian package bare: its copyright file is missing"):
        build()


def test_a_failing_patchelf_is_a_clear_error(build: Build, patchelf: Path) -> None:
    patchelf.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(Failure, match="patchelf failed on serve: broken"):
        build()
    patchelf.unlink()
    with pytest.raises(Failure, match="patchelf does not start"):
        build()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"machine": 183}, "not for x86_64"),
        ({"runpath": "/x"}, "has DT_RUNPATH /x"),
        ({"rpath": "/usr/lib/x"}, "has DT_RPATH /usr/lib/x"),
        ({"needed": ["libc.so.6", "libx.so.1"]}, r"libx\.so\.1 \(needed by lib/x\.so\)"),
    ],
)
def test_a_file_that_would_find_the_hosts_libraries_is_refused(
    tmp_path: Path, make_elf: MakeElf, options: dict[str, Any], complaint: str
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/x.so").write_bytes(make_elf(**options))
    with pytest.raises(Failure, match=complaint):
        check_closed(tmp_path, PLACE)


def test_a_file_with_our_own_search_path_is_fine(tmp_path: Path, make_elf: MakeElf) -> None:
    (tmp_path / "x").write_bytes(make_elf(needed=["libc.so.6"], rpath=PLACE.rpath))
    check_closed(tmp_path, PLACE)


def test_a_loader_that_the_kernel_could_not_find_is_refused() -> None:
    with pytest.raises(Failure, match=r"'lib/ld\.so' is not an absolute path"):
        Place("lib/ld.so", ())
