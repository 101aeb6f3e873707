"""Images of others get into a bundle whole, under the user's signature, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backendai_ctl.images import layout
from release_tool.bundle import Bundle
from release_tool.outside_image import read_image
from releasekit.errors import Failure
from tests.unit.release_tool.conftest import Gpg, MakeBundle, RunRelease, noise

CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Labels": {"theirs": "1"}, "User": "0"},
}
NAME = "stable/vllm:0.11"
BILL = {"components": [], "serialNumber": "urn:uuid:0", "version": 1}
Add = Callable[..., "subprocess.CompletedProcess[str]"]


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        for name, to in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, to
            out.addfile(info)
    return raw.getvalue()


LAYERS = (tar({"usr/bin/vllm": noise("layer", 5_000)}), tar({"etc/more": b"more"}))


def docker_archive(path: Path, *, damaged: bool = False, **facts: Any) -> Path:
    """As `docker save` wrote it before version 25: the same layer twice is a link."""
    layers = [*LAYERS, LAYERS[0]]
    rootfs = {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]}
    config = json.dumps({**CONFIG, "rootfs": rootfs, **facts}).encode()
    rows = [
        {
            "Config": "c.json",
            "RepoTags": ["vllm:latest"],
            "Layers": [f"{n}/layer.tar" for n in "123"],
        }
    ]
    files = {"c.json": config, "1/layer.tar": LAYERS[0], "2/layer.tar": LAYERS[1]}
    if damaged:
        files["2/layer.tar"] = LAYERS[1][:-1] + b"x"
    files["manifest.json"] = json.dumps(rows).encode()
    path.write_bytes(tar(files, {"3/layer.tar": "../1/layer.tar"}))
    return path


def oci_files(
    name: str = NAME,
    kind: str = "application/vnd.oci.image.layer.v1.tar+gzip",
    packed: bytes = gzip.compress(LAYERS[0], mtime=0),
    tars: Sequence[bytes] = LAYERS[:1],
) -> dict[str, bytes]:
    """A layout with an index in its index, as of several platforms; `tars`: the layers that it is to have."""
    files: dict[str, bytes] = {}

    def put(data: bytes, media: str) -> dict[str, Any]:
        files[f"blobs/{sha256(data).replace(':', '/')}"] = data
        return {"mediaType": media, "digest": sha256(data), "size": len(data)}

    manifest = "application/vnd.oci.image.manifest.v1+json"
    rootfs = {"type": "layers", "diff_ids": [sha256(layer) for layer in tars]}
    config = put(
        json.dumps({**CONFIG, "rootfs": rootfs}).encode(),
        "application/vnd.oci.image.config.v1+json",
    )
    image = put(json.dumps({"config": config, "layers": [put(packed, kind)]}).encode(), manifest)
    here = {**image, "platform": {"os": "linux", "architecture": "amd64"}}
    other = {**image, "platform": {"os": "unknown", "architecture": "unknown"}}
    index = put(
        json.dumps({"manifests": [here, other]}).encode(), "application/vnd.oci.image.index.v1+json"
    )
    row = {**index, "annotations": {layout.NAME: name}}
    return {**files, "index.json": json.dumps({"manifests": [row]}).encode()}


def oci_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle(changes={"sbom/release.cdx.json": json.dumps(BILL).encode()})


@pytest.fixture
def add(
    bundle: Path,
    run_release: RunRelease,
    gpgs: tuple[Gpg, Gpg],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Add:
    """add(IMAGE, OPTION...): to the publisher's bundle, signed by the key of somebody else."""
    monkeypatch.setenv("GNUPGHOME", str(gpgs[1].home))
    (tmp_path / "out").mkdir()

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        options = ["--sign-with", gpgs[1].fingerprint, "--to", tmp_path / "out"]
        return run_release("add-image", bundle, *options, *words)  # the last of two counts

    return run


def result(tmp_path: Path, name: str) -> tuple[Bundle, Path]:
    """The new bundle, and the folder it unpacks to."""
    path = tmp_path / "out" / name
    with tarfile.open(path) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    return Bundle(path), tmp_path / "unpacked" / path.stem


def test_a_docker_archive_is_added_and_the_rest_stays(
    add: Add, bundle: Path, run_release: RunRelease, gpgs: tuple[Gpg, Gpg], tmp_path: Path
) -> None:
    words = ["--name", NAME, "--label", "ai.backend.role=COMPUTE", "--label", "theirs=2"]
    done = add(docker_archive(tmp_path / "vllm.tar"), *words)
    assert done.returncode == 0, done.stderr
    new, folder = result(tmp_path, bundle.name)
    checked = run_release("verify", new.path, "--fingerprint", gpgs[1].fingerprint)
    assert checked.returncode == 0, checked.stderr
    before = Bundle(bundle).manifest
    changed = {path for path, number in before.items() if new.manifest.get(path) != number}
    assert changed <= {"RELEASE", "sbom/release.cdx.json", "keys/backendai-archive-keyring.gpg"}
    (image,) = layout.read(folder / "images")
    assert image.name == NAME
    layout.check(image)
    config = json.loads(b"".join(layout.verified(image.blobs[0])))
    assert config["config"]["Labels"] == {"ai.backend.role": "COMPUTE", "theirs": "2"}
    assert config["config"]["User"] == "0"
    layers = [gzip.decompress(b"".join(layout.verified(blob))) for blob in image.blobs[1:]]
    assert layers == list(LAYERS), "the third is the first"
    (part,) = json.loads((folder / "sbom/release.cdx.json").read_text())["components"]
    assert (part["name"], part["version"], part["type"]) == ("stable/vllm", "0.11", "container")
    assert part["properties"] == [{"name": "backendai:origin", "value": "outside"}]
    assert part["hashes"][0]["content"] == image.digest.partition(":")[2]


def test_the_tar_is_signed_and_the_publishers_key_is_still_among_the_keys(
    add: Add, bundle: Path, gpgs: tuple[Gpg, Gpg], tmp_path: Path
) -> None:
    assert add(docker_archive(tmp_path / "vllm.tar"), "--name", NAME).returncode == 0
    new, _ = result(tmp_path, bundle.name)
    gpgs[1]("--verify", f"{new.path}.sig", str(new.path))
    shown = gpgs[0](
        "--with-colons", "--show-keys", data=new.read("keys/backendai-archive-keyring.gpg")
    )
    assert all(key.fingerprint in shown.decode() for key in gpgs)
    assert new.facts["key"] == "given" and new.facts["number"] == Bundle(bundle).facts["number"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_layout_is_added_under_the_name_it_has(
    add: Add, bundle: Path, tmp_path: Path, packed: bool
) -> None:
    files = oci_files()
    image = oci_folder(tmp_path / "layout", files)
    if packed:
        image = tmp_path / "layout.tar"
        image.write_bytes(tar(files))
    assert add(image).returncode == 0
    _, folder = result(tmp_path, bundle.name)
    (found,) = layout.read(folder / "images")
    assert found.name == NAME
    layers = [
        name for name in files if name.startswith("blobs/") and files[name][:2] == b"\x1f\x8b"
    ]
    assert [f"blobs/{blob.digest.replace(':', '/')}" for blob in found.blobs[1:]] == layers


def test_another_image_joins_those_that_are_there(
    add: Add, bundle: Path, run_release: RunRelease, gpgs: tuple[Gpg, Gpg], tmp_path: Path
) -> None:
    first = oci_folder(tmp_path / "layout", oci_files())
    assert add(first).returncode == 0
    (tmp_path / "again").mkdir()
    words = ["--sign-with", gpgs[1].fingerprint, "--to", tmp_path / "again"]
    second = docker_archive(tmp_path / "ngc.tar")
    new = tmp_path / "out" / bundle.name
    done = run_release("add-image", new, second, "--name", "stable/ngc:1", *words)
    assert done.returncode == 0, done.stderr
    (tmp_path / "taken").mkdir()
    taken = run_release("add-image", new, second, "--name", NAME, *words[:-1], tmp_path / "taken")
    assert taken.returncode == 1 and f"has an image {NAME} already" in taken.stderr
    with tarfile.open(tmp_path / "again" / bundle.name) as packed:
        packed.extractall(tmp_path / "both", filter="data")
    found = layout.read(tmp_path / "both" / bundle.stem / "images")
    assert [image.name for image in found] == ["stable/ngc:1", NAME]


def test_what_is_damaged_is_refused_and_nothing_is_left(
    add: Add, bundle: Path, tmp_path: Path
) -> None:
    files = oci_files()
    layer = next(name for name in files if files[name][:2] == b"\x1f\x8b")
    image = oci_folder(tmp_path / "layout", {**files, layer: files[layer][:-1] + b"x"})
    done = add(image)
    assert done.returncode == 1 and layer[-64:] in done.stderr and "is damaged" in done.stderr
    archive = docker_archive(tmp_path / "vllm.tar", damaged=True)
    done = add(archive, "--name", NAME)
    assert done.returncode == 1 and sha256(LAYERS[1]) in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (oci_files(tars=LAYERS[1:]), f"is not the layer '{sha256(LAYERS[1])}' of its image"),
        (oci_files(tars=LAYERS), "1 layers, not 2"),
        (oci_files(packed=LAYERS[0]), "is not packed by gzip"),
        (oci_files(packed=gzip.compress(LAYERS[0])[:-9]), "is not packed by gzip"),
        (oci_files(kind="application/vnd.oci.image.layer.v1.tar"), "is damaged"),
    ],
    ids=["another", "too few", "plain", "cut short", "packed"],
)
def test_layers_of_another_image_are_refused(
    tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    """Their blobs are whole; a node could pull the image, and not unpack it."""
    with pytest.raises(Failure) as refused:
        read_image(oci_folder(tmp_path / "layout", files), tmp_path)
    assert said in refused.value.what


def test_a_damaged_bundle_is_refused(add: Add, bundle: Path, tmp_path: Path) -> None:
    member = Bundle(bundle).places["install.sh"]
    with bundle.open("r+b") as stream:
        stream.seek(member.offset)
        stream.write(b"%")
    done = add(docker_archive(tmp_path / "vllm.tar"), "--name", NAME)
    assert done.returncode == 1 and "install.sh" in done.stderr


def test_what_no_site_could_use_is_refused_with_a_cure(add: Add, tmp_path: Path) -> None:
    cases = {
        "--name stable/NAME:TAG": (docker_archive(tmp_path / "a.tar"),),
        "for 'linux/arm64'": (
            docker_archive(tmp_path / "b.tar", architecture="arm64"),
            "--name",
            NAME,
        ),
        "which registries do not keep": (
            oci_folder(tmp_path / "c", oci_files(kind="application/vnd.oci.empty.v1+json")),
        ),
        "neither index.json nor manifest.json": (
            oci_folder(tmp_path / "d", {"x": b""}),
            "--name",
            NAME,
        ),
        "is not KEY=VALUE": (tmp_path / "a.tar", "--name", NAME, "--label", "x"),
        "is not an image, is packed, or is cut short": (
            oci_folder(tmp_path / "e", {"x": b"x"}) / "x",
            "--name",
            NAME,
        ),
    }
    for words, call in cases.items():
        done = add(*call)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def sparse(path: Path) -> Path:
    """A tar of 10 KiB with a file of a TiB in it, as GNU tar writes its holes."""
    info = tarfile.TarInfo("blobs/sha256/0")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:410], head[483:495] = b"%011o\0" % 0 + b"%011o\0" % 0, b"\x80" + (1 << 40).to_bytes(11)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    path.write_bytes(bytes(head).ljust(10240, b"\0"))
    return path


def test_what_is_hostile_is_refused_at_once(tmp_path: Path) -> None:
    deep, row = b"[" * 50_000, {"mediaType": "application/vnd.oci.image.manifest.v1+json"}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": 5, "size": "x"}

    def index(*rows: object) -> dict[str, bytes]:
        return {"index.json": json.dumps({"manifests": rows}).encode()}

    def manifest(text: bytes) -> dict[str, bytes]:
        whole = {**row, "digest": sha256(text), "size": len(text)}
        return {**index(whole), f"blobs/{sha256(text).replace(':', '/')}": text}

    def labelled(labels: object) -> dict[str, bytes]:
        text = json.dumps({**CONFIG, "config": {"Labels": labels}}).encode()
        described = {"digest": sha256(text), "size": len(text)}
        above = manifest(json.dumps({"config": described, "layers": []}).encode())
        return {**above, f"blobs/{sha256(text).replace(':', '/')}": text}

    layouts = [
        {"index.json": deep},
        {"index.json": b'{"manifests": 5}'},
        index(row),
        index({**row, "platform": "linux"}),
        index({**row, "digest": "\x1b[2J", "size": 1}),
        manifest(deep),
        manifest(b"\xff"),
        manifest(b" " * (5 << 20)),
        manifest(json.dumps({"config": config, "layers": []}).encode()),
        labelled(["x"]),
        labelled({"x": 1}),
        {"manifest.json": deep},
        {"manifest.json": b"5"},
        {"manifest.json": b'[{"Config": "c", "Layers": []}]', "c": b"{}"},
    ]
    images = [oci_folder(tmp_path / f"image-{n}", files) for n, files in enumerate(layouts)]
    (tmp_path / "packed").write_bytes(gzip.compress(tar(oci_files())))
    for image in (*images, tmp_path / "packed", sparse(tmp_path / "sparse")):
        with pytest.raises(Failure) as refused:
            read_image(image, tmp_path)
        assert str(image) in refused.value.what and refused.value.what.isprintable()


def test_the_bundle_stays_by_whatever_name_it_is_given(
    bundle: Path, run_release: RunRelease, gpgs: tuple[Gpg, Gpg], tmp_path: Path
) -> None:
    alias = tmp_path / "elsewhere/alias.tar"
    alias.parent.mkdir()
    alias.symlink_to(bundle)
    before = bundle.read_bytes()
    words = ["--name", NAME, "--sign-with", gpgs[1].fingerprint, "--to", bundle.parent]
    done = run_release("add-image", alias, docker_archive(tmp_path / "v"), *words)
    assert done.returncode == 1 and f"{bundle} exists" in done.stderr
    assert bundle.read_bytes() == before


def test_a_key_that_is_not_there_is_told(add: Add, tmp_path: Path) -> None:
    done = add(docker_archive(tmp_path / "vllm.tar"), "--name", NAME, "--sign-with", "nobody")
    assert done.returncode == 1 and "key nobody" in done.stderr
