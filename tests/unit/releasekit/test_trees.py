from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("installer")

from releasekit import trees
from releasekit.errors import Failure
from releasekit.trees import TreeSpec, build

MakeWheel = Callable[..., Path]
Digest = Callable[[bytes], str]
ENVIRONMENT = "/opt/x/1"
SITE = f"{ENVIRONMENT[1:]}/lib/python3.13/site-packages"


def spec(**more: Any) -> TreeSpec:
    return TreeSpec(
        **{
            "package": "p",
            "environment": ENVIRONMENT,
            "runtime": "/opt/x/runtime",
            "python": "3.13",
            "mtime": 1_700_000_000,
            "homepage": "https://h",
            "license": "LGPL-3.0-only",
            **more,
        }
    )


def patchelf(folder: Path, script: str) -> str:
    path = folder / "patchelf"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_tree_holds_its_distributions_compiled_and_their_licences(
    tmp_path: Path, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel(tmp_path, "a_b", {"a_b/m.py": b"x = 1\n", "a_b/m.pyi": b""})
    rows = [{"distribution": "*", "pattern": "**/*.pyi", "reason": "stubs"}]
    root = tmp_path / "root"
    facts = build(spec(wheels=[str(wheel)], prune=rows), root)
    tag = sys.implementation.cache_tag
    assert (root / SITE / f"a_b/__pycache__/m.{tag}.pyc").exists()
    assert not (root / SITE / "a_b/m.pyi").exists()
    assert "Files: a_b-1.0" in (root / "usr/share/doc/p/copyright").read_text()
    assert facts == {
        "package": "p",
        "license": "LGPL-3.0-only AND MIT",
        "distributions": ["a_b==1.0"],
    }


def test_scripts_are_no_modules_whatever_their_name(tmp_path: Path, make_wheel: MakeWheel) -> None:
    files = {"a.py": b"", "a-1.0.data/scripts/run.py": b"#!python\n"}
    build(spec(wheels=[str(make_wheel(tmp_path, "a", files))]), tmp_path / "root")
    assert [p.name for p in (tmp_path / "root/opt/x/1/bin").iterdir()] == ["run.py"]


def test_the_skeleton_makes_an_environment_on_the_private_runtime(tmp_path: Path) -> None:
    build(spec(skeleton=True), tmp_path / "root")
    environment = tmp_path / "root/opt/x/1"
    assert os.readlink(environment / "bin/python") == "../../runtime/bin/python3.13"
    assert "home = /opt/x/runtime/bin\n" in (environment / "pyvenv.cfg").read_text()


def test_a_program_on_the_private_loader_is_recorded_as_it_becomes(
    tmp_path: Path, make_wheel: MakeWheel, digest: Digest
) -> None:
    wheel = make_wheel(tmp_path, "a", {"a/bin/tool": b"old"})
    tool = patchelf(
        tmp_path, f'echo "$@" > {tmp_path}/called; for f; do :; done; printf new > "$f"'
    )
    root = tmp_path / "root"
    build(spec(wheels=[str(wheel)], private_loader=["a/bin/tool"], patchelf=tool), root)
    called = (tmp_path / "called").read_text()
    assert "--set-interpreter /opt/x/runtime/lib/ld-linux-x86-64.so.2" in called
    assert "--force-rpath --set-rpath /opt/x/runtime/lib" in called
    record = (root / SITE / "a-1.0.dist-info/RECORD").read_text()
    assert f"a/bin/tool,{digest(b'new')},3\n" in record


def test_a_program_that_no_wheel_holds_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="p: private_loader names tool, which no wheel of it holds"):
        build(spec(private_loader=["a/bin/tool"]), tmp_path / "root")


def test_what_patchelf_says_is_passed_on(tmp_path: Path, make_wheel: MakeWheel) -> None:
    wheel = make_wheel(tmp_path, "a", {"a/bin/tool": b"old"})
    tool = patchelf(tmp_path, "echo not an ELF executable >&2; exit 1")
    with pytest.raises(Failure, match="patchelf failed on tool: not an ELF executable"):
        build(
            spec(wheels=[str(wheel)], private_loader=["a/bin/tool"], patchelf=tool),
            tmp_path / "root",
        )


def test_the_same_wheels_give_the_same_tar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_wheel: MakeWheel
) -> None:
    tars = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        make_wheel(folder, "a", {"a.py": b"x = {'a', 'b'}\n"})
        made = spec(wheels=["a-1.0-py3-none-any.whl"], skeleton=True)
        Path("spec.json").write_text(json.dumps(made.__dict__))
        monkeypatch.setattr(sys, "argv", ["trees", "spec.json"])
        assert trees.main() == 0
        tars.append(Path("tree.tar").read_bytes())
        assert json.loads(Path("tree.json").read_text())["distributions"] == ["a==1.0"]
    assert tars[0] == tars[1]
    with tarfile.open("tree.tar") as tar:
        assert all(member.mode in (0o644, 0o755, 0o777) for member in tar)
