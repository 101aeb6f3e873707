"""Images of sessions in dist/images: whole, small, and such as the manager and a session need."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import dist as artefacts

LOCKS = artefacts.REPOSITORY / "packaging/locks"
# Bytes that an image may take up as it ships.
LIMITS = {
    "stable/python": 200_000_000,
    "stable/ml-cpu": 450_000_000,
    "stable/filebrowser": 60_000_000,
    "stable/sftp": 60_000_000,
    "stable/llm-cpu": 95_000_000,
}
LABEL = "ai.backend."
DISTRIBUTIONS = "usr/local/lib/python3.13/dist-packages"
# What an image says of itself that the manager reads, and no default of upstream's is meant.
NEEDED = (
    *("kernelspec", "role", "runtime-type", "runtime-path", "base-distro", "features"),
    *("resource.min.cpu", "resource.min.mem", "service-ports"),
)
LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin")


@dataclass
class Layer:
    """Entries by their path; texts of the few that tests read; files that name a path of the build."""

    members: dict[str, tarfile.TarInfo] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Image:
    """An image as its manifest and its configuration tell of it."""

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @property
    def labels(self) -> dict[str, str]:
        found = self.config["config"]["Labels"].items()
        return {key[len(LABEL) :]: value for key, value in found if key.startswith(LABEL)}

    @property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """What a container sees."""
        return {path: info for layer in self.layers for path, info in layer.members.items()}

    def content(self, path: str) -> bytes:
        return next(layer.contents[path] for layer in self.layers[::-1] if path in layer.contents)


@pytest.fixture(scope="session")
def layout(request: pytest.FixtureRequest) -> Path:
    """The folder of all images."""
    folder = artefacts.folder(request.config) / "images"
    if not (folder / "index.json").is_file():
        artefacts.unavailable(f"no images in {folder}: run ./pants package ::")
    return folder


def blob(layout: Path, digest: str) -> Path:
    kind, _, name = digest.partition(":")
    return layout / "blobs" / kind / name


@pytest.fixture(scope="session")
def images(layout: Path) -> Mapping[str, Image]:
    """The images by their name; each layer is read once."""
    seen: dict[str, Layer] = {}
    found = {}
    for row in json.loads((layout / "index.json").read_text())["manifests"]:
        manifest = json.loads(blob(layout, row["digest"]).read_text())
        config = json.loads(blob(layout, manifest["config"]["digest"]).read_text())
        for layer in manifest["layers"]:
            if layer["digest"] not in seen:
                seen[layer["digest"]] = read_layer(blob(layout, layer["digest"]))
        layers = tuple(seen[layer["digest"]] for layer in manifest["layers"])
        name = row["annotations"]["org.opencontainers.image.ref.name"]
        found[name] = Image(manifest, config, layers)
    return found


KEPT = re.compile(
    r"var/lib/dpkg/|etc/(passwd|group|shadow|ld\.so\.cache)$|etc/backend\.ai/"
    r"|usr/local/share/doc/|.*/xllamacpp\.abi3\.so$"
)
# What only a file that knows of its build would hold.
BUILT_IN = (str(artefacts.REPOSITORY).encode(), b"pants-sandbox", b"/tmp/modules-", b"/tmp/wheels-")


def read_layer(path: Path) -> Layer:
    layer = Layer()
    with tarfile.open(path, "r:gz") as tar:
        for info in tar:
            layer.members[info.name] = info
            stored = tar.extractfile(info) if info.isreg() else None
            data = stored.read() if stored else b""
            if KEPT.match(info.name):
                layer.contents[info.name] = data
            layer.leaks += [f"{info.name}: {bad.decode()}" for bad in BUILT_IN if bad in data]
    return layer


def lock(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((LOCKS / f"{name}.lock").read_text("utf-8"))
    return data


def test_every_blob_has_the_name_of_its_content_and_none_is_left_over(layout: Path) -> None:
    named: dict[str, int] = {}
    for row in json.loads((layout / "index.json").read_text())["manifests"]:
        manifest = json.loads(blob(layout, row["digest"]).read_text())
        for one in (row, manifest["config"], *manifest["layers"]):
            named[one["digest"]] = one["size"]
    there = {f"sha256:{path.name}": path for path in (layout / "blobs/sha256").iterdir()}
    assert {digest: path.stat().st_size for digest, path in there.items()} == named
    for digest, path in there.items():
        with path.open("rb") as stream:
            assert digest == f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    assert sorted(path.name for path in layout.iterdir()) == ["blobs", "index.json", "oci-layout"]
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_digests_of_a_configuration_are_of_layers_before_their_compression(
    layout: Path, images: Mapping[str, Image]
) -> None:
    import gzip

    known: dict[str, str] = {}
    for image in images.values():
        for layer, diff_id in zip(
            image.manifest["layers"], image.config["rootfs"]["diff_ids"], strict=True
        ):
            if layer["digest"] not in known:
                with gzip.open(blob(layout, layer["digest"])) as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                known[layer["digest"]] = f"sha256:{digest}"
            assert known[layer["digest"]] == diff_id


def test_images_are_small(
    images: Mapping[str, Image],
    show: Callable[[str], None],
    record_property: Callable[[str, object], None],
) -> None:
    for name, image in images.items():
        size = sum(layer["size"] for layer in image.manifest["layers"])
        show(f"{name}: {size:,} bytes in {len(image.layers)} layers")
        record_property(name, size)
        assert size <= LIMITS[name.partition(":")[0]]


def test_the_same_image_is_the_same_in_every_release(images: Mapping[str, Image]) -> None:
    """No date is in it: what did not change is not carried, pushed or pulled again."""
    for image in images.values():
        assert "created" not in json.dumps(image.config).replace("created_by", "")
        assert len({info.mtime for info in image.members.values()}) == 1


def test_the_manager_is_told_what_it_needs_to_know(images: Mapping[str, Image]) -> None:
    assert images
    for name, image in images.items():
        labels = image.labels
        assert not [label for label in NEEDED if label not in labels], name
        assert labels["kernelspec"] == "1" and labels["role"] in ("COMPUTE", "SYSTEM")
        assert (image.config["architecture"], image.config["os"]) == ("amd64", "linux")
        assert re.fullmatch(r"[a-z]+/[a-z-]+:[0-9.]+-[a-z]+[0-9]+", name), name
        assert re.fullmatch(r"ubuntu[0-9.]+", labels["base-distro"]), "as agents call C libraries"


def test_what_labels_name_is_in_the_image(images: Mapping[str, Image]) -> None:
    for image in images.values():
        assert resolve(image.members, image.labels["runtime-path"]) is not None
        for port in filter(None, image.labels["service-ports"].split(",")):
            app, protocol, number = port.split(":")
            assert protocol == "http" and 0 < int(number) < 65536
            definition = json.loads(image.content(f"etc/backend.ai/service-defs/{app}.json"))
            assert definition["command"]
            runtime, *words = definition["command"]
            assert runtime == "{runtime_path}"
            named = [word for word in words if word.startswith("/")]
            assert [word for word in named if resolve(image.members, word) is None] == []


def test_the_buttons_of_a_folder_have_an_image_each(images: Mapping[str, Image]) -> None:
    """Those are of role SYSTEM; which of them is the file browser, the web UI tells by its service."""
    ports = [i.labels["service-ports"] for i in images.values() if i.labels["role"] == "SYSTEM"]
    assert sorted(port.partition(":")[0] for port in ports) == ["", "filebrowser"]


def test_upstreams_variant_finds_the_program_that_it_starts(images: Mapping[str, Image]) -> None:
    """`llama-server`, by its name alone: see default_model_definition of the variant llama-cpp."""
    (image,) = (image for name, image in images.items() if name.startswith("stable/llm-cpu:"))
    assert image.members["usr/local/bin/llama-server"].mode == 0o755
    assert image.labels["role"] == "COMPUTE", "that of INFERENCE brings a port of its own"


def test_works_compiled_into_a_module_are_named_with_their_licences(
    images: Mapping[str, Image],
) -> None:
    (image,) = (image for name, image in images.items() if name.startswith("stable/llm-cpu:"))
    module = image.content(f"{DISTRIBUTIONS}/xllamacpp/xllamacpp.abi3.so")
    crates = {name.decode() for name in re.findall(rb"crates\.io-\w+/([a-z_-]+)-\d", module)}
    told = image.content("usr/local/share/doc/llama-server/copyright").decode()
    assert crates and crates - {*re.findall(r"[\w-]+", told)} == set()
    for work, trace in {
        "llama.cpp": b"llama.cpp/src",
        "ggml": b"ggml_backend",
        "cpp-httplib": b"cpp-httplib",
        "boringssl": b"boringssl",
        "llguidance": b"llguidance",
        "stb_image": b"stbi_",
        "miniaudio": b"ma_decoder",
    }.items():
        assert trace in module and work in told.lower()


def resolve(members: Mapping[str, tarfile.TarInfo], path: str, depth: int = 0) -> str | None:
    """Where a path leads through links; None where there is nothing."""
    done: list[str] = []
    parts = path.split("/")
    for number, part in enumerate(parts):
        if part == "..":
            done = done[:-1]
        elif part not in ("", "."):
            done.append(part)
            info = members.get("/".join(done))
            if info is None:
                return None
            if info.issym():
                above = [] if info.linkname.startswith("/") else done[:-1]
                rest = "/".join([*above, info.linkname, *parts[number + 1 :]])
                return None if depth > 20 else resolve(members, rest, depth + 1)
    return "/".join(done)


def test_every_link_leads_to_something(images: Mapping[str, Image]) -> None:
    for name, image in images.items():
        members = image.members
        links = [path for path, info in members.items() if info.issym()]
        assert [path for path in links if resolve(members, path) is None] == [], name


def test_no_layer_puts_a_folder_in_the_place_of_a_link(images: Mapping[str, Image]) -> None:
    for image in images.values():
        below: dict[str, tarfile.TarInfo] = {}
        for layer in image.layers:
            both = layer.members.keys() & below.keys()
            assert [path for path in both if layer.members[path].type != below[path].type] == []
            below.update(layer.members)


def test_no_program_gives_rights_that_a_user_does_not_have(images: Mapping[str, Image]) -> None:
    for image in images.values():
        members = image.members
        assert [path for path, info in members.items() if info.mode & 0o6000] == []
        open_to_all = [path for path, i in members.items() if i.mode & 0o002 and not i.issym()]
        assert [path for path in open_to_all if not members[path].mode & 0o1000] == []
        words = {
            line.split(":")[0]: line.split(":")[1]
            for line in image.content("etc/shadow").decode().splitlines()
        }
        assert words["root"] and set(words.values()) == {"*"}, "an account has a password"
        assert members["etc/shadow"].mode == 0o640


def test_no_file_names_a_path_of_the_build(images: Mapping[str, Image]) -> None:
    assert [
        leak for image in images.values() for layer in image.layers for leak in layer.leaks
    ] == []


def test_dpkg_lists_what_the_lock_has(images: Mapping[str, Image], tmp_path: Path) -> None:
    """Of the layers of an image: each is that of the folder of packaging/images it is named after."""
    sets = lock("debian")["sets"]
    for number, image in enumerate(images.values()):
        names = [row["created_by"].rpartition(" ")[2] for row in image.config["history"]]
        wanted = {key.partition("/")[2] for name in names for key in sets[f"image-{name}"]}
        status = image.content("var/lib/dpkg/status").decode()
        assert set(re.findall(r"^Package: (\S+)$", status, re.MULTILINE)) == wanted
        if not shutil.which("dpkg"):
            continue
        root = tmp_path / str(number)
        for layer in image.layers:
            for path, data in layer.contents.items():
                if path.startswith("var/lib/dpkg/") and layer.members[path].isreg():
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(data)
        argv = ["dpkg", f"--root={root}", "--audit"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("", "")


def test_distributions_are_those_of_the_lock_with_their_licences(
    images: Mapping[str, Image],
) -> None:
    groups = lock("images")["groups"]
    info = re.compile(
        r"usr/local/lib/python3\.13/dist-packages/([^/]+)-([^-/]+)\.dist-info/METADATA"
    )
    for image in images.values():
        names = [row["created_by"].rpartition(" ")[2] for row in image.config["history"]]
        found = [match.groups() for match in map(info.fullmatch, image.members) if match]
        assert {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found} == {
            (name, entry["version"])
            for image_name in names
            for name, entry in groups[image_name]["packages"].items()
        }
        status = image.content("var/lib/dpkg/status").decode()
        for package in re.findall(r"^Package: (\S+)$", status, re.MULTILINE):
            path = f"usr/share/doc/{package}/copyright"
            assert resolve(image.members, path), f"{package} has no licence"


def test_the_loader_finds_every_library_of_its_cache(
    images: Mapping[str, Image], tmp_path: Path
) -> None:
    if not LDCONFIG:
        pytest.skip("this machine has no ldconfig")
    for image in images.values():
        cache = tmp_path / "ld.so.cache"
        cache.write_bytes(image.content("etc/ld.so.cache"))
        argv = [LDCONFIG, "-p", "-C", str(cache)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        rows = [re.fullmatch(r"\t(\S+) \(.*\) => (\S+)", row) for row in done.stdout.splitlines()]
        found = {row[1]: row[2] for row in rows if row}
        assert {"libc.so.6", "libssl.so.3", "libstdc++.so.6"} <= set(found)
        assert [path for path in found.values() if resolve(image.members, path) is None] == []
