"""What changed from one bundle to another: packages by name, other files by path."""

from __future__ import annotations

from typing import Any

from release_tool.bundle import Bundle
from release_tool.inventory import Package, package_of, packages
from release_tool.tables import megabytes, table


def difference(old: Bundle, new: Bundle) -> dict[str, Any]:
    """Lists of what was added, removed and changed; sizes are in bytes."""
    before, after = packages(old), packages(new)
    both = [key for key in sorted(after) if key in before]
    return {
        "old": dict(old.facts.values),
        "new": dict(new.facts.values),
        "size": {"old": old.size(), "new": new.size()},
        "added": [_one(after[key]) for key in sorted(after) if key not in before],
        "removed": [_one(before[key]) for key in sorted(before) if key not in after],
        "changed": [
            _pair(before[key], after[key])
            for key in both
            if before[key].sha256 != after[key].sha256
        ],
        "unchanged": sum(before[key].sha256 == after[key].sha256 for key in both),
        "files": _files(old, new),
    }


def _one(package: Package) -> dict[str, Any]:
    return {
        "kind": package.kind,
        "name": package.name,
        "version": package.version,
        "size": package.size,
    }


def _pair(old: Package, new: Package) -> dict[str, Any]:
    return {
        "kind": new.kind,
        "name": new.name,
        "version": {"old": old.version, "new": new.version},
        "size": {"old": old.size, "new": new.size},
    }


def _files(old: Bundle, new: Bundle) -> dict[str, list[str]]:
    """Files that are no packages."""
    before = {path: sum_ for path, sum_ in old.manifest.items() if not package_of(path, 0, "")}
    after = {path: sum_ for path, sum_ in new.manifest.items() if not package_of(path, 0, "")}
    return {
        "added": sorted({*after} - {*before}),
        "removed": sorted({*before} - {*after}),
        "changed": sorted(path for path in after if before.get(path, after[path]) != after[path]),
    }


def as_text(found: dict[str, Any]) -> str:
    """The difference for reading."""
    old, new = found["old"], found["new"]
    lines = [
        f"{old['version']} (number {old['number']}, {old['date']}, {megabytes(found['size']['old'])})"
        f" -> {new['version']} (number {new['number']}, {new['date']}, "
        f"{megabytes(found['size']['new'])})",
        "",
    ]
    rows = [("added", p, "", p["version"], "", megabytes(p["size"])) for p in found["added"]]
    rows += [("removed", p, p["version"], "", megabytes(p["size"]), "") for p in found["removed"]]
    for pair in found["changed"]:
        version, size = pair["version"], pair["size"]
        sizes = (megabytes(size["old"]), megabytes(size["new"]))
        rows.append(("changed", pair, version["old"], version["new"], *sizes))
    if rows:
        head = ("what", "package", "old", "new", "old size", "new size")
        lines.append(
            table(head, [(r[0], f"{r[1]['name']} ({r[1]['kind']})", *r[2:]) for r in rows])
        )
    lines.append(f"{found['unchanged']} packages are the same")
    for word in ("added", "removed", "changed"):
        paths = found["files"][word]
        if paths:
            shown = ", ".join(paths[:8]) + (f" and {len(paths) - 8} more" if paths[8:] else "")
            lines.append(f"other files {word} ({len(paths)}): {shown}")
    return "\n".join(lines)
