"""Images are read from a layout only if every byte is what its name says."""

from __future__ import annotations

import json
from pathlib import Path

import oci
import pytest

from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.images import layout

ONE, TWO = "stable/one:1", "stable/two:2"


def test_images_share_their_layers(tmp_path: Path) -> None:
    one, two = layout.read(oci.layout(tmp_path, {ONE: (b"base",), TWO: (b"base", b"more")}))
    assert (one.name, one.repository, one.tag) == (ONE, "stable/one", "1")
    assert one.blobs[1] == two.blobs[1] and two.blobs[2].size == 4
    assert one.size == one.blobs[0].size + 4
    assert one.config == one.blobs[0].digest != one.digest
    assert b"".join(layout.verified(two.blobs[2])) == b"more"


def test_no_layout_is_no_image(tmp_path: Path) -> None:
    assert layout.read(tmp_path / "none") == []


def test_a_layer_with_another_content_is_refused(tmp_path: Path) -> None:
    (image,) = layout.read(oci.layout(tmp_path, {ONE: (b"base",)}))
    image.blobs[1].path.write_bytes(b"bAse")
    with pytest.raises(Problem, match="missing or damaged"):
        list(layout.verified(image.blobs[1]))


@pytest.mark.parametrize("damage", ["gone", "short", "link"])
def test_an_image_that_is_not_whole_is_refused_before_it_is_sent(
    tmp_path: Path, damage: str
) -> None:
    (image,) = layout.read(oci.layout(tmp_path, {ONE: (b"base",)}))
    layout.check(image)
    blob = image.blobs[1].path
    if damage == "short":
        blob.write_bytes(b"b")
    else:
        blob.rename(tmp_path / "elsewhere")
    if damage == "link":
        blob.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Problem, match="missing or damaged"):
        layout.check(image)


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    (image,) = layout.read(oci.layout(tmp_path, {ONE: (b"base",)}))
    path = tmp_path / "blobs" / image.digest.replace(":", "/")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Problem, match="missing or damaged"):
        layout.read(tmp_path)


def test_an_index_of_several_platforms_is_refused_with_the_cure(tmp_path: Path) -> None:
    oci.layout(tmp_path, {ONE: (b"base",)})
    text = (tmp_path / "index.json").read_text()
    (tmp_path / "index.json").write_text(text.replace("image.manifest.v1", "image.index.v1"))
    with pytest.raises(Problem, match="no image of one platform") as caught:
        layout.read(tmp_path)
    assert "--all" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["", "latest", "UPPER:1", "../up:1", "stable/one:", "a//b:1"])
def test_an_image_without_a_usable_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="no usable name"):
        layout.read(oci.layout(tmp_path, {name: (b"base",)}))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "{}", "[" * 50_000, '{"manifests": null}', '{"manifests": [1]}'],
    ids=len,
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(Problem, match=r"index\.json"):
        layout.read(tmp_path)


def test_a_digest_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    oci.layout(tmp_path, {ONE: (b"base",)})
    index = json.loads((tmp_path / "index.json").read_text())
    index["manifests"][0]["digest"] = "sha256:../../../etc/passwd"
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(Problem, match="not a sha256 digest"):
        layout.read(tmp_path)


def test_those_of_the_release_are_in_the_kept_bundle(ctx: Context) -> None:
    kept = ctx.paths.state / "bundles"
    other = kept / "backendai-26.9.5-1-linux-amd64/images"
    own = kept / f"backendai-{ctx.facts.full_version}-deb-amd64/images"
    for folder in (other, own):
        folder.mkdir(parents=True)
    partial = kept / f"backendai-{ctx.facts.full_version}-aaa-amd64.partial/images"
    partial.mkdir(parents=True)
    assert layout.of_release(ctx) == own
    own.rmdir()
    assert layout.read(layout.of_release(ctx)) == []
