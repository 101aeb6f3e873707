"""What the build of the gateway decides without Node: whose licences, and which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from releasekit.errors import Failure
from releasekit.gateway import build, license, packages_inside
from releasekit.node_modules import NpmPackage, read_npm_lock

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "packaging" / "components" / "gateway"


def package(name: str) -> NpmPackage:
    return NpmPackage("1.0.0", "x.tgz", "0" * 64, 1, name=name, integrity="")


def unpacked(folder: Path, manifest: dict[str, Any], **files: str) -> Path:
    (folder / "package.json").write_text(json.dumps(manifest))
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_only_packages_with_bytes_in_the_bundle_count() -> None:
    packages = {
        key: package("x")
        for key in ("node_modules/a", "node_modules/a/node_modules/b", "node_modules/b")
    }
    meta = {
        "outputs": {
            "gateway.mjs": {
                "inputs": {
                    "src/gateway.mjs": {"bytesInOutput": 5},
                    "node_modules/a/node_modules/b/index.js": {"bytesInOutput": 5},
                    "node_modules/b/index.js": {"bytesInOutput": 0},
                }
            }
        }
    }
    assert packages_inside(meta, packages) == {"node_modules/a/node_modules/b"}


def test_bundled_file_of_no_locked_package_is_refused() -> None:
    inputs = {"node_modules/stray/index.js": {"bytesInOutput": 5}}
    with pytest.raises(Failure, match="in no package of the lock"):
        packages_inside({"outputs": {"x": {"inputs": inputs}}}, {"node_modules/a": package("a")})


def test_licence_text_is_the_package_s_own(tmp_path: Path) -> None:
    folder = unpacked(
        tmp_path, {"license": "ISC"}, LICENSE="Copyright Us\r\n\r\nDo as you like  \n"
    )
    assert license(folder, package("ours"), SOURCES) == {
        "name": "ours",
        "version": "1.0.0",
        "license": "ISC",
        "text": "Copyright Us\n\nDo as you like\n",
    }


@pytest.mark.parametrize(
    "repository",
    [
        {"type": "git", "url": "git+https://code.test/ardatan/whatwg-node.git", "directory": "x"},
        {"url": "git://code.test/ardatan/whatwg-node"},
        "github:ardatan/whatwg-node",
        "ardatan/whatwg-node",
    ],
)
def test_licence_is_supplied_with_the_holder_s_name(repository: Any, tmp_path: Path) -> None:
    folder = unpacked(tmp_path, {"license": "MIT", "repository": repository})
    text = license(folder, package("theirs"), SOURCES)["text"]
    assert text.startswith("MIT License\n\nCopyright (c) 2023 Arda TANRIKULU\n\nPermission is")
    assert "{copyright}" not in text


def test_package_without_licence_and_unknown_holder_is_refused(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, {"license": "MIT", "repository": "who/knows"})
    with pytest.raises(Failure, match=r"theirs 1\.0\.0: carries no licence file.*'who/knows'"):
        license(folder, package("theirs"), SOURCES)


@pytest.mark.parametrize("spdx", ["GPL-3.0-only", "SEE LICENSE IN X", None])
def test_licence_that_may_not_ship_is_refused(spdx: Any, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"theirs 1\.0\.0: licence .* may ship\nhint: allowed: 0BSD"):
        license(unpacked(tmp_path, {"license": spdx}), package("theirs"), SOURCES)


def test_missing_schema_is_named_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "graphene.graphql").write_text("type Query { a: Int }")
    nowhere = tmp_path / "nowhere"
    with pytest.raises(Failure, match=r"strawberry\.graphql is missing"):
        build(
            node=nowhere,
            lock=nowhere,
            tarballs=nowhere,
            sources=nowhere,
            schemas=tmp_path,
            out=tmp_path / "out",
        )


def test_lock_holds_what_package_json_asks_for() -> None:
    manifest = json.loads((SOURCES / "package.json").read_text())
    lock = read_npm_lock(ROOT / "packaging" / "locks" / "npm.lock")
    for name, version in {**manifest["dependencies"], **manifest["devDependencies"]}.items():
        assert lock[f"node_modules/{name}"].version == version


def test_lock_holds_no_address() -> None:
    text = (ROOT / "packaging" / "locks" / "npm.lock").read_text()
    assert "://" not in text
    assert "resolved" not in text
