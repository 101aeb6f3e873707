"""What the inventory is gathered from: locks, licences that packages state, signed files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from packager.inventory import InventoryRequest, debian_parts, locked_part, merged, stated_parts
from releasekit.model import File


def entry(filename: str, digit: str = "a", **more: Any) -> dict[str, Any]:
    return {"version": "1.0", "filename": filename, "sha256": digit * 64, "size": 1, **more}


def test_a_part_of_two_packages_is_listed_once_with_both_owners() -> None:
    parts = [
        locked_part(entry("x.deb"), "deb", "x", packages=(package,))
        for package in ("runtime", "agent")
    ]
    (part,) = merged(parts)
    assert part.packages == ("agent", "runtime")


def test_what_a_package_says_is_bundled_is_found_in_the_locks() -> None:
    listed = [
        {"name": "@scope/tool", "version": "1.0", "license": "ISC", "text": "T"},
        {"name": "Data.Files", "version": "1.0", "license": "MIT", "text": "T"},
        {"name": "zlib (in Node.js)", "version": "1.3", "license": "Zlib", "text": "T"},
    ]
    npm = {"node_modules/@scope/tool": entry("tool.tgz", name="@scope/tool")}
    parts = stated_parts(listed, "gateway", npm, {"data-files": entry("data.whl", "b")})
    assert [(part.kind, part.name) for part in parts] == [
        ("npm", "@scope/tool"),
        ("pypi", "data-files"),
        ("embedded", "zlib (in Node.js)"),
    ]
    assert parts[1].extent == "files" and parts[1].sha256 == "b" * 64
    assert all(part.packages == ("gateway",) and part.texts == ("T",) for part in parts)


def test_a_debian_package_that_left_the_mirror_is_listed_as_what_stood_in(tmp_path: Path) -> None:
    locked, used = entry("x_1.deb"), entry("x_2.deb", "b", version="2.0")
    (tmp_path / "drift").mkdir()
    record = json.dumps({"locked": locked, "used": used})
    (tmp_path / "drift" / f"{'a' * 64}.json").write_text(record)
    lock = {"sets": {"s": ["trixie/x"]}, "packages": {"trixie/x": locked}}
    (part,) = debian_parts(lock, "s", str(tmp_path), "runtime")
    assert (part.name, part.version, part.sha256) == ("x", "2.0", "b" * 64)


def test_a_signed_rpm_is_listed_as_it_ships() -> None:
    signed = File("rpm/packages/a.rpm", "s" * 64, 2)
    built = [File("a.deb", "d" * 64, 1), File("a.rpm", "u" * 64, 1)]
    assert InventoryRequest((signed,)).shipped(built) == (built[0], signed)
