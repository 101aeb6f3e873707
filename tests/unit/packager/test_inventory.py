"""What the inventory is gathered from: locks, licences that packages state, signed files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packager.inventory import InventoryRequest, add, debian_rows, file_row, stated_rows
from packager.sbom import LIBRARIES

REPOSITORY = Path(__file__).resolve().parents[3]


def entry(filename: str, digit: str = "a", **more: Any) -> dict[str, Any]:
    return {"version": "1.0", "filename": filename, "sha256": digit * 64, "size": 1, **more}


def test_a_part_of_two_packages_is_listed_once_with_both_owners() -> None:
    rows: dict[Any, Any] = {}
    add(rows, file_row(entry("x.deb"), "deb", "x", packages=["runtime"], carried=False))
    add(rows, file_row(entry("x.deb"), "deb", "x", packages=[], carried=True))
    (row,) = rows.values()
    assert (row["packages"], row["carried"]) == (["runtime"], True)


def test_what_a_package_says_is_bundled_is_found_in_the_locks() -> None:
    listed = [
        {"name": "@scope/tool", "version": "1.0", "license": "ISC", "text": "T"},
        {"name": "Data.Files", "version": "1.0", "license": "MIT", "text": "T"},
        {"name": "zlib (in Node.js)", "version": "1.3", "license": "Zlib", "text": "T"},
    ]
    npm = {"node_modules/@scope/tool": entry("tool.tgz", name="@scope/tool")}
    rows = stated_rows(listed, "gateway", npm, {"data-files": entry("data.whl", "b")})
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("npm", "@scope/tool"),
        ("pypi", "data-files"),
        ("embedded", "zlib (in Node.js)"),
    ]
    assert rows[1]["extent"] == "files" and rows[1]["sha256"] == "b" * 64
    assert all(row["packages"] == ["gateway"] and row["texts"] == ["T"] for row in rows)


def test_a_debian_package_that_left_the_mirror_is_listed_as_what_stood_in(tmp_path: Path) -> None:
    locked, used = entry("x_1.deb"), entry("x_2.deb", "b", version="2.0")
    (tmp_path / "drift").mkdir()
    record = json.dumps({"locked": locked, "used": used})
    (tmp_path / "drift" / f"{'a' * 64}.json").write_text(record)
    lock = {"sets": {"s": ["trixie/x"]}, "packages": {"trixie/x": locked}}
    (row,) = debian_rows(lock, "s", str(tmp_path), carried=True)
    assert (row["name"], row["version"], row["sha256"]) == ("x", "2.0", "b" * 64)


def test_a_signed_rpm_is_listed_as_it_ships() -> None:
    request = InventoryRequest("services", (("rpm/packages/a.rpm", "s" * 64, 2),))
    built = [
        {"path": "a.deb", "sha256": "d" * 64, "size": 1},
        {"path": "a.rpm", "sha256": "u" * 64, "size": 1},
    ]
    assert request.shipped(built) == [
        built[0],
        {"path": "rpm/packages/a.rpm", "sha256": "s" * 64, "size": 2},
    ]


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_library_of_the_sbom_is_locked(name: str) -> None:
    lock = json.loads((REPOSITORY / "packaging/locks/tools.lock").read_text("utf-8"))
    assert name in lock["groups"]["build"]["packages"]
