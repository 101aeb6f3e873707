"""Promise: a server's tree lies below its prefix and leans on what the runtime says that it has."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit import server_tree
from releasekit.server_tree import ServerSpec, build

DEP5 = "Format: a copyright file\n\nFiles: *\n"

MakeDeb = Callable[..., Path]
MakeElf = Callable[..., bytes]

PROVENANCE = [{"package": "trixie/serve", "version": "1-2", "sha256": "0" * 64}]


@pytest.fixture
def spec(
    tmp_path: Path,
    make_deb: MakeDeb,
    make_elf: MakeElf,
    patchelf: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ServerSpec:
    """In a sandbox: a server of one package, beside a runtime with the C library."""
    monkeypatch.chdir(tmp_path)
    Path("runtime.json").write_text(json.dumps({"libraries": ["libc.so.6"]}))
    files = {
        "./usr/bin/serve": make_elf(
            needed=["libc.so.6", "libs.so.1"], interpreter="/lib64/ld-linux-x86-64.so.2"
        ),
        "./usr/lib/x86_64-linux-gnu/libc.so.6": make_elf(soname="libc.so.6"),
        "./usr/lib/x86_64-linux-gnu/libs.so.1": make_elf(soname="libs.so.1"),
        "./usr/lib/x86_64-linux-gnu/libnamed.so": make_elf(),
        "./usr/share/serve/a": b"a",
        "./usr/share/serve/manual": b"m",
        "./usr/share/doc/serve/copyright": DEP5.encode() + b"License: BSD-3-clause\n",
    }
    make_deb(Path("serve.deb"), files, package="serve")
    return ServerSpec(
        package="p-serve",
        prefix="/opt/x/servers/serve",
        runtime="/opt/x/runtime",
        runtime_tree="runtime.json",
        mtime=1_700_000_000,
        homepage="https://h",
        license="LGPL-3.0-only",
        debs=["serve.deb"],
        provenance=PROVENANCE,
        patchelf=patchelf.name,
        programs=["bin/serve"],
        data=["share/serve"],
        libraries=["libnamed*"],
        links={"bin/server": "serve"},
        left_out={"share/serve/manual": "nobody reads it here"},
    )


def test_a_tree_lies_below_its_prefix_without_what_the_runtime_has(
    tmp_path: Path, spec: ServerSpec
) -> None:
    root = tmp_path / "root"
    facts = build(spec, root)
    top = root / "opt/x/servers/serve"
    assert {p.relative_to(top).as_posix() for p in top.rglob("*") if not p.is_dir()} == {
        "bin/serve",
        "bin/server",
        "lib/libnamed.so",
        "lib/libs.so.1",
        "share/licenses/serve/copyright",
        "share/serve/a",
    }
    others = {p for p in root.rglob("*") if p.is_file()} - set(top.rglob("*"))
    assert {p.relative_to(root).parent.as_posix() for p in others} == {"usr/share/doc/p-serve"}
    assert facts["license"] == "LGPL-3.0-only AND BSD-3-Clause"


def test_programs_use_the_loader_of_the_runtime_and_its_libraries_after_their_own(
    tmp_path: Path, spec: ServerSpec
) -> None:
    build(spec, tmp_path / "root")
    words = (tmp_path / "called").read_text().split()
    assert words[:2] == ["--set-interpreter", "/opt/x/runtime/lib/ld-linux-x86-64.so.2"]
    assert words[words.index("--set-rpath") + 1] == "/opt/x/servers/serve/lib:/opt/x/runtime/lib"


def test_the_program_writes_tree_and_facts(
    spec: ServerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("spec.json").write_text(json.dumps(spec.__dict__))
    monkeypatch.setattr(sys, "argv", ["server_tree", "spec.json"])
    assert server_tree.main() == 0
    assert json.loads(Path("tree.json").read_text())["package"] == "p-serve"
    with tarfile.open("tree.tar") as tar:
        names = {member.name.removeprefix("./") for member in tar}
    assert "opt/x/servers/serve/bin/serve" in names


def test_without_a_specification_it_says_how_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["server_tree"])
    assert server_tree.main() == 2
    assert "usage: python -m releasekit.server_tree SPEC.json" in capsys.readouterr().err
