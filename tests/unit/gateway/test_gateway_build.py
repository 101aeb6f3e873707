"""The build of the gateway: the same bytes everywhere, and the licences of what is inside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from releasekit.errors import Failure


def test_build_is_byte_identical_in_another_folder(
    kit: Any, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "another place for scratch"
    scratch.mkdir()
    sources = tmp_path / "sources"
    shutil.copytree(kit.sources, sources)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("TZ", "Asia/Seoul")
    again = kit.build(tmp_path / "out", sources=sources)
    assert sorted(p.name for p in again.iterdir()) == [
        "gateway.mjs",
        "licenses.json",
        "supergraph.graphql",
    ]
    for path in again.iterdir():
        assert path.read_bytes() == (built / path.name).read_bytes(), path.name
        assert str(tmp_path).encode() not in path.read_bytes()


def test_licences_cover_every_package_inside(built: Path) -> None:
    licences = json.loads((built / "licenses.json").read_text(encoding="utf-8"))
    names = [entry["name"] for entry in licences]
    assert names == sorted(names)
    assert {"graphql", "graphql-yoga", "ws", "@graphql-tools/federation"} <= set(names)
    # What only builds the gateway is not inside it.
    assert not {"esbuild", "@theguild/federation-composition"} & set(names)
    for entry in licences:
        assert entry["license"] in {"MIT", "ISC", "0BSD"}
        assert "opyright" in entry["text"], entry["name"]


def test_schema_with_a_fault_fails_by_name(kit: Any, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(kit.tests / "schemas", schemas)
    (schemas / "public.graphql").write_text("type Query {")
    with pytest.raises(Failure, match=r"public\.graphql: Syntax Error"):
        kit.build(tmp_path / "out", schemas=schemas)
    assert not (tmp_path / "out").exists()
