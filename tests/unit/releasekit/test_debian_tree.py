from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from releasekit.debian_tree import DebianSpec, document, pack, parts_of

DEP5 = "Format: a copyright file\n\nFiles: *\n"

PROVENANCE = [{"package": "trixie/libc6", "version": "2.41-12", "sha256": "0" * 64}]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "root/opt/x"
    (folder / "share/licenses/libc6").mkdir(parents=True)
    (folder / "share/licenses/libc6/copyright").write_text(DEP5 + "License: LGPL-2.1+\n")
    return folder


def test_parts_carry_the_version_that_was_used(tree: Path) -> None:
    (part,) = parts_of(tree / "share/licenses", PROVENANCE)
    assert (part.name, part.version, part.license) == ("libc6", "2.41-12", "LGPL-2.1-or-later")


def test_the_documents_name_every_debian_package_with_licence_and_hash(
    tmp_path: Path, tree: Path
) -> None:
    root = tmp_path / "root"
    spec = DebianSpec("p", "/opt/x", 0, "https://h", "MIT", [], PROVENANCE, "patchelf")
    facts = document(tree, root, spec)
    doc = root / "usr/share/doc/p"
    assert "Files: libc6-2.41-12" in (doc / "copyright").read_text()
    assert json.loads((doc / "debian-packages.json").read_text()) == PROVENANCE
    assert facts == {
        "package": "p",
        "license": "MIT AND LGPL-2.1-or-later",
        "distributions": [],
    }


def test_a_tree_is_packed_with_paths_of_a_host_and_the_time_that_is_given(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pack(tmp_path / "root", {"package": "p"}, mtime=1_700_000_000)
    with tarfile.open("tree.tar") as tar:
        found = {member.name.removeprefix("./"): member.mtime for member in tar}
    assert found["opt/x/share/licenses/libc6/copyright"] == 1_700_000_000
    assert json.loads(Path("tree.json").read_text()) == {"package": "p"}
