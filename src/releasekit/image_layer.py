"""Make one layer of an image: `python -m releasekit.image_layer SPEC`.

SPEC is a JSON file (see `LayerSpec`). Written beside it: `layer.tar.gz`, and `layer.json`, which tells its
digests and what the layers above it must know. No registry, container engine or root is needed, and no
script of a package runs; releasekit.image_setup does what these would have done.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from releasekit import bytecode, image_setup
from releasekit.debfile import control
from releasekit.elf import parse_elf
from releasekit.errors import Failure, run_main
from releasekit.image_files import Files, Node, link, pack, settled
from releasekit.specs import program, read, text

# Of packages: what no session reads. The licence of each stays.
LEFT_OUT = (
    "usr/share/doc/*/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/lintian/*",
    "usr/share/menu/*",
    "usr/share/bug/*",
    "etc/cron.*",
    "etc/init.d/*",
    "etc/update-motd.d/*",
    "usr/lib/systemd/*",
    # It keeps pip from a user's own folder, too; the system's is not writable in a session anyway.
    "usr/lib/python3*/EXTERNALLY-MANAGED",
)
KEPT = ("usr/share/doc/*/copyright", "usr/local/lib/python3*/dist-packages/*.dist-info/*")
LAYER, FACTS = "layer.tar.gz", "layer.json"
_LIBRARY = "usr/lib/python{}"
_DEBIANS = "usr/lib/python3/dist-packages"
_DISTRIBUTIONS = "usr/local/lib/python{}/dist-packages"


@dataclass(frozen=True)
class LayerFacts:
    """A layer, and with all that is below it: its libraries, dpkg's list, folders that are links."""

    digest: str
    diff_id: str
    size: int  # bytes, compressed
    aliases: dict[str, str]
    libraries: dict[str, str]
    status: str
    packages: dict[str, str]  # Debian packages of this layer: their versions


@dataclass(frozen=True)
class LayerSpec:
    """What a layer is made of. Paths of inputs are relative to the sandbox."""

    name: str
    python: str  # version of the image's Python, as in 3.13
    debs: list[str]
    wheels: list[str]
    below: str = ""  # layer.json of the layer under it
    files: dict[str, str] = field(default_factory=dict)  # path in the image -> file
    links: dict[str, str] = field(default_factory=dict)  # path in the image -> target
    without: list[str] = field(default_factory=list)  # patterns of paths that are left out, too
    jobs: int = 1


def build(spec: LayerSpec) -> LayerFacts:
    """Write the layer to the working folder; return its facts."""
    below = (
        read(LayerFacts, Path(spec.below)) if spec.below else LayerFacts("", "", 0, {}, {}, "", {})
    )
    left_out = (*LEFT_OUT, *spec.without)
    files = Files(aliases=dict(below.aliases), left_out=left_out, kept=KEPT)
    controls = {deb: control(Path(deb)) for deb in sorted(spec.debs, key=os.path.basename)}
    paths = files.add_packages([Path(deb) for deb in controls])
    image_setup.set_up(files)
    add_wheels(files, spec)
    check_met(spec, files)
    for place, source in spec.files.items():
        files.put(place, beside(Path(source).read_bytes()))
    for place, target in spec.links.items():
        files.put(place, link(target))
    add_bytecode(files, spec)
    libraries = {**below.libraries, **image_setup.libraries(files)}
    check_libraries(spec.name, files, libraries)
    status = below.status + "".join(image_setup.installed(one) for one in controls.values())
    if controls:
        check_closed(spec.name, status)
        image_setup.add_ld_cache(files, libraries)
        image_setup.add_dpkg(files, status, image_setup.list_names(controls.values(), paths))
    blob = pack(settled(files), Path(LAYER))
    return LayerFacts(
        **vars(blob),
        aliases=files.aliases,
        libraries=libraries,
        status=status,
        packages={one["Package"]: one["Version"] for one in controls.values()},
    )


def add_wheels(files: Files, spec: LayerSpec) -> None:
    """Lay wheels out where Debian's Python looks for what is not Debian's."""
    if not spec.wheels:
        return
    from releasekit.wheels import lay_out  # needs `installer`, which other programs do not

    with tempfile.TemporaryDirectory(prefix="wheels-") as name:
        root = Path(name)
        site, headers = root / f"lib/python{spec.python}/dist-packages", root / ".headers"
        scheme = {"purelib": site, "platlib": site, "scripts": root / "bin", "data": root}
        for wheel in sorted(spec.wheels, key=os.path.basename):
            lay_out(Path(wheel), {**scheme, "headers": headers}, "/usr/bin/python3")
        files.add_folder(root, "usr/local", without=".headers")


def check_met(spec: LayerSpec, files: Files) -> None:
    """Raise Failure for what is left out of an image that has nothing of it."""
    if stale := [pattern for pattern in spec.without if pattern not in files.met]:
        raise Failure(
            f"image {spec.name}: `without` names {', '.join(stale)}, but nothing in it is called so",
            hint="take it out of the BUILD file of the image, or mend the pattern",
        )


def beside(data: bytes) -> Node:
    """A file that lies beside the BUILD file: one that names its interpreter is a program."""
    return Node("file", 0o755 if data.startswith(b"#!") else 0o644, data=data)


def add_bytecode(files: Files, spec: LayerSpec) -> None:
    """Compile the modules of this layer, as scripts of packages and pip would."""
    for folder in (_LIBRARY.format(spec.python), _DEBIANS, _DISTRIBUTIONS.format(spec.python)):
        modules = {
            path: node.data
            for path, node in files.nodes.items()
            if path.startswith(f"{folder}/") and path.endswith(".py") and node.kind == "file"
        }
        if not modules:
            continue
        with tempfile.TemporaryDirectory(prefix="modules-") as name:
            for path, data in modules.items():
                target = Path(name, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            bytecode.compile_tree(Path(name, folder), shown_as=f"/{folder}", jobs=spec.jobs)
            for made in sorted(Path(name).rglob("*.pyc")):
                files.put(str(made.relative_to(name)), Node("file", data=made.read_bytes()))


def check_closed(name: str, status: str) -> None:
    """Raise Failure where a package depends on one that neither the layer nor those below it hold."""
    found, wanted = image_setup.relations(status)
    for package, needs in sorted(wanted.items()):
        for choices in needs:
            if not found & set(choices):
                raise Failure(
                    f"image {name}: {package} needs {' or '.join(choices)}, which is not in it",
                    hint="run scripts/lock-debian --keep",
                )


def check_libraries(name: str, files: Files, known: Mapping[str, str]) -> None:
    """Raise Failure where a module of a wheel needs a library that neither the image nor its wheel has."""
    modules = {
        path: parse_elf(node.data, path)
        for path, node in files.nodes.items()
        if path.startswith("usr/local/") and node.data[:4] == b"\x7fELF"
    }
    found = {*known, *(posixpath.basename(path) for path in modules)}
    for path, elf in sorted(modules.items()):
        if missing := set(elf.needed) - found:
            raise Failure(
                f"image {name}: /{path} needs {', '.join(sorted(missing))}, which is not in it",
                hint="add the Debian package that has it to `debian` in the BUILD file of the image",
            )


def make(spec: LayerSpec) -> None:
    """Write LAYER and FACTS to the working folder."""
    Path(FACTS).write_text(text(build(spec)), "utf-8")


main = program(LayerSpec, make)


if __name__ == "__main__":
    run_main(main)
