from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from releasekit.part_licenses import main, of_debs, of_wheel

DEP5 = "Format: a copyright file\n\nFiles: *\n"

Make = Callable[..., Path]
EXPAT = DEP5.encode() + b"License: Expat\n Permission is hereby granted\n"


def test_a_wheel_is_read_without_installing_it(make_wheel: Make, tmp_path: Path) -> None:
    files = {"x-1.0.dist-info/licenses/LICENSE": b"Do as you like.\n", "x.py": b""}
    files["a/_vendor/y-2.0.dist-info/METADATA"] = b"Name: y\nVersion: 2.0\nLicense: BSD\n"
    assert of_wheel(make_wheel(tmp_path, "x", files)) == {
        "file": "x-1.0-py3-none-any.whl",
        "license": "MIT",
        "texts": ["Do as you like."],
        "copyright": "",
    }


def test_a_debian_package_that_leaves_its_copyright_to_another_gets_that_one(
    make_deb: Make, tmp_path: Path
) -> None:
    docs = "./usr/share/doc"
    main = make_deb(
        tmp_path / "libx_1_amd64.deb", {f"{docs}/libx/copyright": EXPAT}, package="libx"
    )
    link = make_deb(tmp_path / "libx-dev_1_amd64.deb", {f"{docs}/libx-dev": "libx"}, package="libx")
    none = make_deb(tmp_path / "liby_1_amd64.deb", {}, package="liby")
    rows = {row["file"]: row for row in of_debs([main, link, none])}
    assert rows[main.name]["license"] == "MIT"
    assert rows[link.name]["texts"] == rows[main.name]["texts"]
    assert (rows[none.name]["license"], rows[none.name]["texts"]) == ("LicenseRef-unstated", [])


def test_the_program_writes_a_row_for_every_file(
    make_wheel: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.json"
    spec = {"wheels": [str(make_wheel(tmp_path, "x", {}))], "debs": [], "output": str(output)}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    monkeypatch.setattr(sys, "argv", ["part_licenses", str(tmp_path / "spec.json")])
    assert main() == 0
    assert [row["file"] for row in json.loads(output.read_text())] == ["x-1.0-py3-none-any.whl"]
