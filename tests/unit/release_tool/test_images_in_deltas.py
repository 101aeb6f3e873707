"""Images of a delta travel by blob, and a layer that changed a little by what changed in it."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from release_tool import repack
from release_tool.bundle import Bundle, Place
from release_tool.inventory import blobs_of_images
from release_tool.repack import AS_IS, DEFLATE, UNKNOWN_DEFLATE, packed, pieces_of, unpacked
from tests.unit.release_tool.conftest import MakeBundle, RunRelease, noise
from tests.unit.release_tool.test_add_image import sha256

KIND = "application/vnd.oci.image.manifest.v1+json"
WORDS = [noise(f"word{n}", 3 + n % 9).hex().encode() for n in range(400)]


def text(seed: int, size: int) -> bytes:
    """Bytes that a packer makes smaller, as programs are."""
    chosen = random.Random(seed).choices(WORDS, k=size // 16)
    return b" ".join(chosen)


def layer(*parts: bytes, level: int = 6) -> bytes:
    return gzip.compress(b"".join(parts), level, mtime=0)


def images(layers: Mapping[str, tuple[bytes, ...]]) -> dict[str, bytes]:
    """Files of a bundle with these images."""
    files: dict[str, bytes] = {}

    def put(data: bytes) -> dict[str, Any]:
        files[f"images/blobs/{sha256(data).replace(':', '/')}"] = data
        return {"digest": sha256(data), "size": len(data)}

    rows = []
    for name, stack in layers.items():
        config = put(json.dumps([name, list(map(sha256, stack))]).encode())
        manifest = {"config": config, "layers": [put(data) for data in stack]}
        row = put(json.dumps(manifest).encode())
        notes = {"org.opencontainers.image.ref.name": name}
        rows.append({**row, "mediaType": KIND, "annotations": notes})
    files["images/index.json"] = json.dumps({"manifests": rows}).encode()
    return files


BASE, OLD, NEW = layer(text(1, 300_000)), layer(text(2, 300_000)), layer(text(3, 300_000))


def delta(
    tmp_path: Path,
    make_bundle: MakeBundle,
    run_release: RunRelease,
    stacks: tuple[tuple[bytes, ...], tuple[bytes, ...]],
    *words: str,
) -> int:
    """Bytes of the delta between two releases that differ in the image alone; it is applied, too."""
    bundles = [
        make_bundle(f"26.9.6-{n}", n, images({f"stable/python:{n}": stack}), keep="same")
        for n, stack in enumerate(stacks, 1)
    ]
    made, result = tmp_path / "d.delta", tmp_path / "result.tar"
    done = run_release("delta", *bundles, "--output", made, *words)
    assert done.returncode == 0, done.stderr
    done = run_release("apply", bundles[0], made, "--output", result)
    assert done.returncode == 0, done.stderr
    assert result.read_bytes() == bundles[1].read_bytes()
    result.unlink()
    return made.stat().st_size


def test_an_image_whose_top_layer_is_another_costs_that_layer(
    tmp_path: Path, make_bundle: MakeBundle, run_release: RunRelease
) -> None:
    size = delta(tmp_path, make_bundle, run_release, ((BASE, OLD), (BASE, NEW)))
    assert size < len(NEW) + 10_000 < len(BASE) + len(NEW)


def test_a_layer_that_changed_a_little_costs_what_changed(
    tmp_path: Path, make_bundle: MakeBundle, run_release: RunRelease
) -> None:
    """An update of one wheel: at most a tenth of the image, the layers of which are packed."""
    before, wheel, after = text(2, 200_000), noise("wheel", 2_000), text(3, 100_000)
    old = layer(before, noise("older wheel", 1_500), after)
    stacks = ((BASE, old), (BASE, layer(before, wheel, after)))
    size = delta(tmp_path, make_bundle, run_release, stacks)
    assert size < 0.1 * (len(BASE) + len(old))
    assert size < delta(tmp_path, make_bundle, run_release, stacks, "--portable")


@pytest.mark.parametrize("level", [1, 6, 9])
def test_a_layer_is_packed_again_to_its_bytes(tmp_path: Path, level: int) -> None:
    """Also one that is larger than what its level is found by."""
    path = tmp_path / "layer"
    path.write_bytes(layer(*(text(n, 1_000_000) for n in range(6)), level=level))
    place = Place(path, 0, path.stat().st_size)
    pieces = pieces_of(place, presets=True)
    assert [piece.preset for piece in pieces] == [AS_IS, DEFLATE + level, AS_IS]
    assert b"".join(packed(unpacked(place, pieces), pieces)) == path.read_bytes()


def test_what_no_zlib_made_goes_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    stored = bytearray(layer(b"x" * 50, level=0))
    for data, presets in (
        (bytes(stored), [AS_IS, UNKNOWN_DEFLATE, AS_IS]),
        (layer(b"a") + layer(b"b"), []),  # two members
        (layer(text(1, 9_000))[:-20], []),
        (b"\x1f\x8b\x08\x00", []),
        (layer(bytes(1 << 22)), []),  # a thousand times its size on a disk
    ):
        path.write_bytes(data)
        found = pieces_of(Place(path, 0, len(data)), presets=True)
        assert [piece.preset for piece in found] == presets


def test_what_follows_the_first_member_is_not_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some tools make a member of each file: zlib would copy all of the rest with each block of it."""
    path, rest = tmp_path / "layer", 4 << 20
    path.write_bytes(layer(b"a") + noise("rest", rest))
    reads: list[int] = []
    read = repack._read

    def counted(place: Place, offset: int, size: int) -> bytes:
        reads.append(size)
        return read(place, offset, size)

    monkeypatch.setattr(repack, "_read", counted)
    assert pieces_of(Place(path, 0, path.stat().st_size), presets=True) == []
    assert sum(reads) < rest / 8


def test_an_index_that_is_odd_pairs_nothing(make_bundle: MakeBundle) -> None:
    odd = {**images({"stable/a:1": (BASE,)}), "images/index.json": b'{"manifests": [{}]}'}
    assert blobs_of_images(Bundle(make_bundle(changes=odd))) == {}
    assert blobs_of_images(Bundle(make_bundle(number=2))) == {}
