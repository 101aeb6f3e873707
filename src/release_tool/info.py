"""What a bundle, or a delta, is and holds, as it says itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from release_tool.bundle import Bundle
from release_tool.delta_file import DeltaFile, is_delta
from release_tool.inventory import packages
from release_tool.signature import spaced
from release_tool.tables import megabytes

_KINDS = {"local": "a local key of the build machine", "given": "the publisher's key"}


def info(path: Path) -> dict[str, Any]:
    """Facts for --json; sizes are in bytes. Nothing is verified."""
    if path.is_file() and is_delta(path):
        return _delta(DeltaFile(path))
    bundle = Bundle(path)
    count: Counter[str] = Counter()
    for package in packages(bundle).values():
        count[package.kind if package.ours else f"{package.kind} of the distribution"] += 1
    sizes: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for name, place in bundle.places.items():
        part = name.split("/")[0] + "/" if "/" in name else "files at the top"
        sizes[part] += place.size
        files[part] += 1
    return {
        "kind": "bundle",
        "facts": dict(bundle.facts.values),
        "size": bundle.size(),
        "files": len(bundle.places),
        "packages": dict(sorted(count.items())),
        "contents": {part: {"files": files[part], "size": sizes[part]} for part in sorted(sizes)},
    }


def _delta(delta: DeltaFile) -> dict[str, Any]:
    kinds = Counter(part["from"] for part in delta.parts)
    return {
        "kind": "delta",
        "facts": delta.header["new"],
        "base": delta.header["old"],
        "size": delta.path.stat().st_size,
        "makes": {"file": delta.name, "size": delta.size, "sha256": delta.sha256},
        "parts": {kind: kinds[kind] for kind in ("old", "blob", "patch")},
        "repacks": bool(delta.header["probes"]),
    }


def as_text(found: dict[str, Any]) -> str:
    """The same for reading."""
    facts = found["facts"]
    rows = [
        ("release", f"{facts['name']} {facts['version']}, number {facts['number']}"),
        ("date", facts["date"]),
        ("for", f"{facts['distribution']} {facts['architecture']}"),
        ("signed by", _KINDS.get(facts.get("key", ""), "a key")),
        ("fingerprint", f"{spaced(facts['fingerprint'])} (as it says; verify checks it)"),
    ]
    if found["kind"] == "delta":
        base, makes, parts = found["base"], found["makes"], found["parts"]
        rows += [
            ("delta from", f"{base['version']}, number {base['number']}"),
            ("size", f"{megabytes(found['size'])} for {megabytes(makes['size'])}"),
            ("makes", f"{makes['file']}, sha256 {makes['sha256']}"),
            (
                "files",
                f"{parts['old']} as in the base, {parts['patch']} patched, {parts['blob']} new",
            ),
        ]
    else:
        counts = ", ".join(f"{count} {kind}" for kind, count in found["packages"].items())
        rows += [
            ("size", f"{megabytes(found['size'])} in {found['files']} files"),
            ("packages", counts or "none"),
        ]
        for part, held in found["contents"].items():
            rows.append((f"  {part}", f"{megabytes(held['size'])} in {held['files']} files"))
    return "\n".join(f"{key:<18}{value}" for key, value in rows)
