from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from releasekit import runtime, runtime_tree
from releasekit.runtime_tree import RuntimeSpec, build

DEP5 = "Format: a copyright file\n\nFiles: *\n"

PROVENANCE = [{"package": "trixie/libc6", "version": "2.41-12", "sha256": "0" * 64}]


def spec() -> RuntimeSpec:
    return RuntimeSpec(
        package="p",
        prefix="/opt/x/runtime",
        python="3.13",
        mtime=1_700_000_000,
        homepage="https://h",
        license="LGPL-3.0-only",
        debs=["b.deb", "a.deb"],
        provenance=PROVENANCE,
        patchelf="patchelf",
        sitecustomize="sitecustomize.py",
    )


@pytest.fixture(autouse=True)
def assembled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """releasekit.runtime is tested by itself: here it lays out a module, libraries and a licence."""
    calls: list[Any] = []

    def assemble(debs: list[Path], prefix: str, patchelf: Path, target: Path, source: Path) -> None:
        calls.append(([path.name for path in debs], prefix, source.name))
        (target / "lib/python3.13").mkdir(parents=True)
        (target / "lib/python3.13/os.py").write_text("x = 1\n")
        for name in ("libc.so.6", "libm.so.6"):
            (target / "lib" / name).touch()
        (target / "lib/libnss_db.so.2").symlink_to("libc.so.6")
        (target / "share/licenses/libc6").mkdir(parents=True)
        (target / "share/licenses/libc6/copyright").write_text(DEP5 + "License: LGPL-2.1+\n")

    monkeypatch.setattr(runtime, "assemble", assemble)
    return calls


def test_the_tree_is_compiled_and_says_what_it_was_made_of(
    tmp_path: Path, assembled: list[Any]
) -> None:
    facts = build(spec(), tmp_path)
    assert assembled == [(["a.deb", "b.deb"], "/opt/x/runtime", "sitecustomize.py")]
    assert list((tmp_path / "opt/x/runtime/lib/python3.13/__pycache__").glob("os.*.pyc"))
    doc = tmp_path / "usr/share/doc/p"
    assert "Files: libc6-2.41-12" in (doc / "copyright").read_text()
    assert json.loads((doc / "debian-packages.json").read_text()) == PROVENANCE
    assert facts["license"] == "LGPL-3.0-only AND LGPL-2.1-or-later"


def test_the_facts_name_the_libraries_that_servers_find_here(tmp_path: Path) -> None:
    facts = build(spec(), tmp_path)
    assert facts["libraries"] == ["libc.so.6", "libm.so.6", "libnss_db.so.2"]


def test_the_program_writes_tree_and_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.json").write_text(json.dumps(spec().__dict__))
    monkeypatch.setattr(sys, "argv", ["runtime_tree", "spec.json"])
    assert runtime_tree.main() == 0
    assert json.loads(Path("tree.json").read_text())["package"] == "p"
    assert Path("tree.tar").stat().st_size > 0
