"""Images of sessions: what their targets may say, what the programs are told, and one made for real."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from everything import ASKED, asked, request, told
from miniature import Miniature, make_miniature
from pants.engine.fs import Snapshot
from pants.engine.internals.scheduler import ExecutionError

from packager import inputs, register
from packager.images import distribution_of
from releasekit.image_layer import LayerSpec
from releasekit.images import Image, ImagesSpec

TOP = {"BUILD": "session_images(name='images')\n"}
LABELS = {"role": "COMPUTE", "runtime-type": "python"}


def image(name: str, **fields: Any) -> dict[str, str]:
    """The BUILD file of an image."""
    words = "".join(f", {key}={value!r}" for key, value in fields.items())
    return {f"i/{name}/BUILD": f"session_image(name={name!r}, summary='An image'{words})\n"}


HIGH = {
    "base": "low",
    "image": "stable/x:1",
    "debian": ["tool"],
    "distributions": ["jl"],
    "files": {"etc/x.json": "x.json", "etc/y.json": "x.json"},
    "links": {"usr/bin/y": "x"},
    "labels": LABELS,
    "environment": {"HOME": "/x"},
}


# It asks for what those below it have, and is no more than these.
TOP_MOST = {"base": "high", "debian": ["base", "tool"], "distributions": ["JL[all]==1.0"]}
TOP_MOST |= {"image": "stable/y:1", "labels": {"role": "SYSTEM"}}


@pytest.fixture(scope="module")
def told_of(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """`low`, `high` on it and `top` on that, made by a stand-in for the programs."""
    ASKED.clear()
    kept = [one for one in register.rules() if getattr(one, "func", None) != inputs.kit_process]
    small = make_miniature(tmp_path_factory.mktemp("images"), [*kept, asked.rule])
    for name, kind in (("base", "image-low"), ("tool", "image-high")):
        deb = small.cache / f"{name}.deb"
        deb.write_text(name)
        small.lock_deb(deb, kind)
    small.debian["sets"]["image-top"] = []
    small.lock_for_image("high", "jl", {"jl/__init__.py": "x = 1\n"})
    without = {"usr/lib/*/tests/*": "tests", "usr/include/*": "nothing is compiled"}
    high = image("high", **HIGH, without=without)
    builds = {**image("low"), **high, **image("top", **TOP_MOST)}
    small.write({**TOP, **builds, "i/high/x.json": "{}"})
    small.build(":images", "images")
    return small


def test_a_layer_is_made_of_what_the_locks_say_of_its_image(told_of: Miniature) -> None:
    assert told(LayerSpec, "image_layer", name="low") == LayerSpec(
        name="low", python="3.13", debs=["debs/base.deb"], wheels=[], jobs=2
    )
    assert told(LayerSpec, "image_layer", name="high") == LayerSpec(
        name="high",
        python="3.13",
        debs=["debs/tool.deb"],
        wheels=["wheels/jl-1.0-py3-none-any.whl"],
        below="layers/low/layer.json",
        files={"etc/x.json": "i/high/x.json", "etc/y.json": "i/high/x.json"},
        links={"usr/bin/y": "x"},
        without=["usr/include/*", "usr/lib/*/tests/*"],
        jobs=2,
    )
    assert told(LayerSpec, "image_layer", name="top") == LayerSpec(
        name="top", python="3.13", debs=[], wheels=[], below="layers/high/layer.json", jobs=2
    )


def test_a_layer_is_given_the_facts_of_the_one_below_it_and_not_that_one(
    told_of: Miniature,
) -> None:
    [high] = [one for one in ASKED if one.program == "image_layer" and '"high"' in one.spec]
    held = set(told_of.runner.request(Snapshot, [high.input_digest]).files)
    assert held == {
        "debs/tool.deb",
        "wheels/jl-1.0-py3-none-any.whl",
        "layers/low/layer.json",
        "i/high/x.json",
    }
    assert high.output_files == ("layer.tar.gz", "layer.json")


def test_the_layout_has_the_images_that_sessions_start_from(told_of: Miniature) -> None:
    high, top = told(ImagesSpec, "images").images
    assert high == Image(
        name="stable/x:1",
        summary="An image",
        layers=["layers/low", "layers/high"],
        labels={
            "ai.backend.base-distro": "ubuntu24.04",
            "ai.backend.kernelspec": "1",
            "ai.backend.role": "COMPUTE",
            "ai.backend.runtime-type": "python",
        },
        environment={"HOME": "/x"},
    )
    assert (top.name, top.layers) == ("stable/y:1", [*high.layers, "layers/top"])
    assert top.labels == {**high.labels, "ai.backend.role": "SYSTEM"}
    held = told_of.runner.request(Snapshot, [request("images").input_digest]).files
    files = [f"layers/{name}/layer" for name in ("high", "low", "top")]
    assert sorted(held) == [f"{file}.{kind}" for file in files for kind in ("json", "tar.gz")]


def test_a_requirement_is_found_in_a_lock_by_its_name() -> None:
    texts = ("JupyterLab", "a_b.c[x,y]>=1", "a==1; python_version > '3'", "a @ file")
    assert [distribution_of(text) for text in texts] == ["jupyterlab", "a-b-c", "a", "a"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image": "stable/x", "labels": LABELS}, "`image` is REPOSITORY:TAG, not 'stable/x'"),
        ({"image": ":1", "labels": LABELS}, "`image` is REPOSITORY:TAG, not ':1'"),
        ({"image": "x:", "labels": LABELS}, "`image` is REPOSITORY:TAG, not 'x:'"),
        ({"image": "X:1", "labels": LABELS}, "`image` is REPOSITORY:TAG, not 'X:1'"),
        ({"image": "x:1:2", "labels": LABELS}, "`image` is REPOSITORY:TAG, not 'x:1:2'"),
        ({"image": "x:1"}, "`image` and `labels`, its own or its base's, go together"),
        ({"labels": LABELS}, "hint: an image that only others are based on has neither"),
        ({"base": "lwo"}, "i/x:x: there is no image 'lwo'\nhint: images are: x"),
        (
            {"distributions": ["J.L[all]>=2"]},
            "images.lock has no j-l for it\nhint: run scripts/lock-images --keep",
        ),
        (
            {"debian": ["tool", "bash"]},
            "debian.lock has no bash, tool for it\nhint: run scripts/lock-debian --keep",
        ),
        ({}, "packaging/locks/debian.lock has no set `image-x`"),
        ({"labels": {"role": 1}}, "role"),
    ],
)
def test_fields_that_do_not_fit_are_refused(
    miniature: Miniature, fields: dict[str, Any], said: str
) -> None:
    if fields:
        miniature.debian["sets"]["image-x"] = []
    miniature.write({**TOP, **image("x", **fields)})
    with pytest.raises(ExecutionError) as caught:
        miniature.build(":images", "images")
    assert said in str(caught.value)
    assert "i/x" in str(caught.value) or not fields


def test_an_image_has_the_name_of_its_folder(miniature: Miniature) -> None:
    """So its sets, its layer and what is based on it are found by one name."""
    miniature.write({**TOP, "i/other/BUILD": image("x")["i/x/BUILD"]})
    with pytest.raises(ExecutionError, match="i/other:x: an image has the name of its folder"):
        miniature.build(":images", "images")


def test_two_images_do_not_have_one_name(miniature: Miniature) -> None:
    fields = {"image": "stable/x:1", "labels": LABELS}
    miniature.write({**TOP, **image("x", **fields), **image("y", **fields)})
    with pytest.raises(ExecutionError, match="i/x:x is 'stable/x:1' already"):
        miniature.build(":images", "images")


def test_a_file_that_is_not_beside_its_image_is_named(miniature: Miniature) -> None:
    miniature.debian["sets"]["image-x"] = []
    miniature.write({**TOP, **image("x", files={"etc/x": "absent.json"})})
    with pytest.raises(ExecutionError, match=r"i/x/absent\.json"):
        miniature.build(":images", "images")


def test_images_that_are_based_on_each_other_end_in_an_error(miniature: Miniature) -> None:
    for name in ("x", "y"):
        miniature.debian["sets"][f"image-{name}"] = []
    miniature.write({**TOP, **image("x", base="y"), **image("y", base="x")})
    with pytest.raises(ExecutionError):
        miniature.build(":images", "images")


def members(dist: Path, digest: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(dist / "images/blobs" / digest.replace(":", "/")) as tar:
        return {member.name: member for member in tar}


def test_images_are_made_for_real_and_share_their_layers(
    miniature: Miniature, make_deb: Any, tmp_path: Path
) -> None:
    def build(tool: bytes) -> tuple[Path, dict[str, list[str]]]:
        for package, files in (("base", {"./bin": "usr/bin"}), ("tool", {"./bin/x": tool})):
            name = "base-files" if package == "base" else package
            path = tmp_path / f"{name}_1_amd64.deb"
            make_deb(path, files, package=name, fields={"Architecture": "amd64"})
            kind = "image-low" if package == "base" else "image-high"
            miniature.debian["sets"].pop(kind, None)
            miniature.lock_deb(path, kind)
        for name in ("high", "other"):
            miniature.lock_for_image(name, "jl", {"jl/__init__.py": "x = 1\n"})
        miniature.debian["sets"]["image-other"] = []
        other = {"base": "low", "image": "x:2", "labels": LABELS, "distributions": ["jl"]}
        builds = {**image("low"), **image("high", **HIGH), **image("other", **other)}
        miniature.write({**TOP, **builds, "i/high/x.json": '{"a": 1}'})
        dist = miniature.build(":images", "images")
        layers = {}
        for row in json.loads((dist / "images/index.json").read_text())["manifests"]:
            blob = dist / "images/blobs" / row["digest"].replace(":", "/")
            name = row["annotations"]["org.opencontainers.image.ref.name"]
            layers[name] = [layer["digest"] for layer in json.loads(blob.read_text())["layers"]]
        return dist, layers

    dist, first = build(b"#!good")
    (low, high), (also_low, other) = first["stable/x:1"], first["x:2"]
    assert low == also_low
    found = members(dist, high)
    assert {"usr/bin/x", "usr/bin/y", "etc/x.json", "etc/y.json"} <= set(found)
    site = "usr/local/lib/python3.13/dist-packages/jl"
    assert {f"{site}/__init__.py", f"{site}/__pycache__/__init__.cpython-313.pyc"} <= set(found)
    assert "bin" in members(dist, low) and "bin" not in found
    _, again = build(b"#!evil")
    assert again["stable/x:1"][0] == low and again["x:2"] == [low, other]
    assert again["stable/x:1"][1] != high
