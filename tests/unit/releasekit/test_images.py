from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from releasekit import specs
from releasekit.image_files import Files, pack, text
from releasekit.image_layer import FACTS, LAYER, LayerFacts
from releasekit.images import IMAGES, Image, ImagesSpec, main, make

AddLayer = Callable[..., str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the program is run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def add_layer(here: Path) -> AddLayer:
    """add_layer(name, content) -> the folder of a layer with that in one file."""

    def made(name: str, content: str = "") -> str:
        folder = here / "layers" / name
        folder.mkdir(parents=True, exist_ok=True)
        files = Files()
        files.put(f"etc/{name}", text(content or name))
        facts = LayerFacts(**vars(pack(files.nodes, folder / LAYER)), **NOTHING)
        (folder / FACTS).write_text(specs.text(facts))
        return f"layers/{name}"

    return made


NOTHING: dict[str, Any] = {"aliases": {}, "libraries": {}, "status": "", "packages": {}}


def blob(digest: str) -> bytes:
    return Path(IMAGES, "blobs", digest.replace(":", "/")).read_bytes()


def read(digest: str) -> Any:
    return json.loads(blob(digest))


def index() -> dict[str, Any]:
    """Of the layout: rows of its index by the name of their image."""
    rows = json.loads(Path(IMAGES, "index.json").read_text())["manifests"]
    return {row["annotations"]["org.opencontainers.image.ref.name"]: row for row in rows}


def test_the_layout_is_what_tools_for_containers_read(add_layer: AddLayer) -> None:
    layers = [add_layer("low"), add_layer("high")]
    make(ImagesSpec([Image("stable/x:1", "An X", layers, {"a.b": "c"}, {"HOME": "/x"})]))
    assert json.loads(Path(IMAGES, "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    row = index()["stable/x:1"]
    assert row["platform"] == {"architecture": "amd64", "os": "linux"}
    manifest = read(row["digest"])
    assert manifest["mediaType"] == row["mediaType"]
    assert row["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    facts = [specs.read(LayerFacts, Path(folder, FACTS)) for folder in layers]
    assert manifest["layers"] == [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": one.digest,
            "size": one.size,
        }
        for one in facts
    ]
    config = read(manifest["config"]["digest"])
    assert config["rootfs"]["diff_ids"] == [one.diff_id for one in facts]
    assert config["config"]["Labels"] == {"a.b": "c", "org.opencontainers.image.title": "An X"}
    assert config["config"]["Env"][0].startswith("PATH=/usr/local/sbin:")
    assert config["config"]["Env"][1:] == ["LANG=C.UTF-8", "HOME=/x"]
    assert len(config["history"]) == len(layers)


def test_every_blob_has_the_name_and_size_of_its_content(add_layer: AddLayer) -> None:
    low = add_layer("low")
    make(ImagesSpec([Image(f"x:{n}", "X", [low, add_layer(n)]) for n in ("b", "a")]))
    listed: dict[str, int] = {}
    for row in index().values():
        manifest = read(row["digest"])
        for found in (row, manifest["config"], *manifest["layers"]):
            listed[found["digest"].partition(":")[2]] = found["size"]
    blobs = {path.name: path.read_bytes() for path in Path(IMAGES, "blobs/sha256").iterdir()}
    assert {name: len(data) for name, data in blobs.items()} == listed
    assert {name: hashlib.sha256(data).hexdigest() for name, data in blobs.items()} == {
        name: name for name in listed
    }
    assert len(blobs) == 3 + 2 + 2, "the layer that two images share is there once"
    assert list(index()) == ["x:a", "x:b"]


def test_an_image_is_the_same_in_every_release_until_something_in_it_changes(
    add_layer: AddLayer,
) -> None:
    def made(*more: Image, content: str = "high") -> str:
        layers = [add_layer("low"), add_layer("high", content)]
        make(ImagesSpec([Image("x:1", "X", layers, {"b": "1", "a": "2"}), *more]))
        return str(index()["x:1"]["digest"])

    first = made()
    config = read(read(first)["config"]["digest"])
    assert "created" not in config and "created" not in config["history"][0]
    assert made(Image("x:2", "Another", [add_layer("other")])) == first
    assert made(content="High") != first
    layers = [add_layer("low"), add_layer("high")]
    for labels, same in (({"a": "2", "b": "1"}, True), ({"a": "3", "b": "1"}, False)):
        make(ImagesSpec([Image("x:1", "X", layers, labels)]))
        assert (index()["x:1"]["digest"] == first) == same


def test_a_release_without_images_has_an_empty_index() -> None:
    make(ImagesSpec([]))
    assert index() == {}


def test_the_program_reads_its_specification(
    add_layer: AddLayer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "spec.json").write_text(specs.text(ImagesSpec([Image("x:1", "X", [add_layer("a")])])))
    monkeypatch.setattr("sys.argv", ["images", "spec.json"])
    assert main() == 0 and list(index()) == ["x:1"]
