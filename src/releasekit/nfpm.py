"""Make one deb or rpm with nfpm: `python -m releasekit.nfpm SPEC`.

SPEC is a JSON file (see `PackageSpec`). nfpm's configuration is written as JSON, which is YAML, with
every file named: its mode, owner and time stamp are stated, never taken from the sandbox. Written
beside the package: `files.json`, the paths it installs.
"""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import textwrap
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from releasekit import spdx, tarball
from releasekit.debzst import compress_deb
from releasekit.errors import Failure, run_main
from releasekit.licenses import (
    COMMON,
    expression,
    stanza,
    without_common,
    write_common,
    write_doc,
)
from releasekit.model import Part
from releasekit.specs import program

# Folders that belong to the host's own packages: named by ours, never owned.
SHARED_FOLDERS = frozenset(
    ("opt", "etc", "usr", "usr/bin", "usr/lib", "usr/share", "usr/share/doc", "var", "var/lib")
)

MANUAL = "/usr/share/man/"
LINE = 78  # columns of text that linters of both formats accept, deb's indent included


@dataclass(frozen=True)
class PackageSpec:
    """A package for nfpm. `fields` are nfpm's own keys; paths of inputs are relative to the sandbox."""

    format: str  # deb or rpm
    output: str
    nfpm: str
    mtime: int  # seconds since the epoch
    fields: dict[str, Any]
    trees: list[str] = field(default_factory=list)
    tree_facts: list[str] = field(default_factory=list)
    contents: list[dict[str, Any]] = field(default_factory=list)
    licenses: str = ""  # JSON list of {name, version, license, text}
    changelog: list[dict[str, Any]] = field(default_factory=list)
    zstd_level: int = 1  # debs: nfpm leaves them uncompressed for releasekit.debzst


def rfc3339(seconds: int) -> str:
    """The time stamp as nfpm reads it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(
    dst: str, *, mtime: int, src: str = "", type: str = "", mode: int | None = None, **owner: str
) -> dict[str, Any]:
    """One entry of nfpm's `contents`, with everything stated."""
    info: dict[str, Any] = {"owner": "root", "group": "root", "mtime": rfc3339(mtime), **owner}
    if mode is not None:
        info["mode"] = mode
    made: dict[str, Any] = {"dst": dst, "file_info": info}
    if src:
        made["src"] = src
    if type:
        made["type"] = type
    return made


def link(dst: str, src: str, *, mtime: int) -> dict[str, Any]:
    """The entry of a symbolic link, with the mode that every link has."""
    return entry(dst, src=src, type="symlink", mode=0o777, mtime=mtime)


def inner_folders(contents: list[dict[str, Any]], mtime: int) -> list[dict[str, Any]]:
    """Entries for folders that files need below a folder of this package and that nobody names."""
    owned = {row["dst"] for row in contents if row.get("type") == "dir"}
    made = {}
    for row in contents:
        parents = [str(parent) for parent in PurePosixPath(row["dst"]).parents]
        first = next((number for number, parent in enumerate(parents) if parent in owned), 0)
        for parent in parents[:first]:
            made[parent] = entry(parent, type="dir", mode=0o755, mtime=mtime)
    return [made[parent] for parent in sorted(made)]


def tree_contents(root: Path, mtime: int) -> list[dict[str, Any]]:
    """Entries for everything below `root`, sorted; folders of the host are left to the host."""
    made = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            made.append(link(f"/{name}", os.readlink(path), mtime=mtime))
        elif path.is_dir():
            if name not in SHARED_FOLDERS:
                made.append(entry(f"/{name}", type="dir", mode=0o755, mtime=mtime))
        else:
            mode = stat.S_IMODE(path.stat().st_mode)
            made.append(entry(f"/{name}", src=str(path), mode=mode, mtime=mtime))
    return made


def own_copyright(spec: PackageSpec, parts: list[Part], root: Path) -> None:
    """Give a package without a tree its copyright file, and add what `licenses` lists."""
    name = str(spec.fields["name"])
    folder = root / "usr/share/doc" / name
    path = folder / "copyright"
    if not path.exists():
        homepage, own = spec.fields["homepage"], spec.fields["license"]
        write_doc(folder, package=name, homepage=homepage, own=own, parts=parts)
        return
    shortened, common = without_common(parts)
    lines = [line for part in shortened for line in stanza(part)]
    with path.open("a", encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in lines)
    write_common(folder, common)


def bundled_parts(licenses: str) -> list[Part]:
    """The works that a licenses.json lists."""
    if not licenses:
        return []
    rows = json.loads(Path(licenses).read_text("utf-8"))
    return [Part(r["name"], r["version"], r["license"], (r["text"],)) for r in rows]


def license_of(spec: PackageSpec, parts: list[Part]) -> str:
    """One SPDX expression over the trees and the extra parts."""
    own = str(spec.fields["license"])
    found = {expression(own, parts)}
    found |= {json.loads(Path(path).read_text("utf-8"))["license"] for path in spec.tree_facts}
    return spdx.join(sorted(term for said in found for term in spdx.terms(said)), first=own)


def packed(row: dict[str, Any]) -> dict[str, Any]:
    """A page of the manual compressed as `gzip -9n` does it, without name and time."""
    if not row["dst"].startswith(MANUAL):
        return row
    target = Path("packed") / Path(row["dst"]).name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(gzip.compress(Path(row["src"]).read_bytes(), 9, mtime=0))
    return {**row, "src": str(target)}


def documentation(row: dict[str, Any], package: str) -> dict[str, Any]:
    """A file of the package's documentation as an rpm marks it; nfpm leaves such types out of debs."""
    folder = f"/usr/share/doc/{package}/"
    if row.get("type") or not row["dst"].startswith((folder, MANUAL)):
        return row
    license = row["dst"][len(folder) :] in ("copyright", *COMMON)
    return {**row, "type": "license" if license else "doc"}


def description(fields: dict[str, Any], format: str) -> str:
    """Summary and paragraphs, wrapped; an rpm has its summary elsewhere, and needs it only if alone."""
    first, _, rest = str(fields["description"]).partition("\n")
    lines = [
        textwrap.fill(paragraph, LINE) for paragraph in rest.strip().split("\n\n") if paragraph
    ]
    body = "\n\n".join(lines)
    if format == "rpm" and body:
        return body
    return f"{first}\n{body}".strip()


def checked(changelog: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changelog, whose notes must fit on a line: nfpm makes a list of a note with line breaks."""
    for row in changelog:
        for change in row["changes"]:
            note = str(change["note"])
            if "\n" in note or len(note) > LINE - 4:
                raise Failure(
                    f"packaging/release.toml: changelog {row['semver']}: a note has {len(note)} characters",
                    hint=f"say it in one line of at most {LINE - 4}, or make two notes of it",
                )
    return changelog


def configuration(spec: PackageSpec, root: Path) -> dict[str, Any]:
    """nfpm's configuration of the package whose tree lies below `root`."""
    parts = bundled_parts(spec.licenses)
    own_copyright(spec, parts, root)
    contents = tree_contents(root, spec.mtime)
    for row in spec.contents:
        if row.get("type") == "symlink":
            contents.append(link(row["dst"], row["src"], mtime=spec.mtime))
        else:
            contents.append(entry(mtime=spec.mtime, **packed(row)))
    contents += inner_folders(contents, spec.mtime)
    seen: dict[str, str] = {}
    for row in contents:
        if row["dst"] in seen and (row.get("type"), seen[row["dst"]]) != ("dir", "dir"):
            raise Failure(
                f"package {spec.fields['name']}: {row['dst']} comes from two of its dependencies",
                hint="remove one of them from `dependencies` or `files` in its BUILD file",
            )
        seen[row["dst"]] = row.get("type", "")
    if spec.format == "rpm":
        contents = [documentation(row, spec.fields["name"]) for row in contents]
    made = {**spec.fields, "license": license_of(spec, parts), "contents": contents}
    made["description"] = description(spec.fields, spec.format)
    made["mtime"] = rfc3339(spec.mtime)
    if spec.changelog:
        Path("changelog.json").write_text(json.dumps(checked(spec.changelog)), "utf-8")
        made["changelog"] = "changelog.json"
    return made


def make(spec: PackageSpec) -> None:
    """Write the package, and `files.json` with the paths in it, to the working folder."""
    root = Path("root")
    root.mkdir()
    for tree in spec.trees:
        tarball.unpack(Path(tree), root)
    config = configuration(spec, root)
    Path("nfpm.json").write_text(json.dumps(config), "utf-8")
    Path(spec.output).parent.mkdir(parents=True, exist_ok=True)
    # fmt: off
    argv = [
        os.path.abspath(spec.nfpm), "package",
        "--config", "nfpm.json",
        "--packager", spec.format,
        "--target", spec.output,
    ]
    # fmt: on
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"nfpm failed on {spec.output}: {(done.stderr + done.stdout).strip()}")
    if spec.format == "deb":
        compress_deb(Path(spec.output), level=spec.zstd_level)
    paths = sorted(row["dst"] for row in config["contents"] if row.get("type") != "dir")
    Path("files.json").write_text(json.dumps(paths, indent=0), "utf-8")


main = program(PackageSpec, make)


if __name__ == "__main__":
    run_main(main)
