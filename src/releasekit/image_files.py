"""Files of an image's layer as they will be in a container: gathered by path, then written as a tar.

Formats: deb(5), and the layers of the OCI image specification. Bytes depend on the files alone: every
time stamp is STAMP, so a layer stays the same blob from release to release until something in it changes.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from releasekit.debfile import members
from releasekit.errors import Failure

STAMP = 1577836800  # seconds since the epoch: 2020-01-01; archives of type zip cannot say 1970
_LEVEL = 6  # of gzip, which every engine and registry reads


@dataclass(frozen=True)
class Node:
    """A file, folder, link or (`same`) second name of a file. `owner`: numbers of user and group."""

    kind: str
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    data: bytes = b""
    target: str = ""


def folder(mode: int = 0o755) -> Node:
    """A folder of root's."""
    return Node("folder", mode)


def text(content: str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> Node:
    """A file of text."""
    return Node("file", mode, owner, content.encode())


def link(target: str) -> Node:
    """A symbolic link."""
    return Node("link", 0o777, target=target)


@dataclass
class Files:
    """{path without its first slash: Node}, and `aliases`: folders that are links, as /bin is to usr/bin.

    Paths that match `left_out` are not taken from packages and folders, unless they match `kept`; `met`:
    the patterns of the former that left something out.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    kept: Sequence[str] = ()
    met: set[str] = field(default_factory=set)

    def place(self, path: str) -> str:
        """The path with a first folder that is a link followed."""
        first, slash, rest = path.partition("/")
        return f"{self.aliases[first]}/{rest}" if slash and first in self.aliases else path

    def put(self, path: str, node: Node) -> None:
        """Put a node at its place, over what is there; the folders above it are made."""
        place = self.place(path)
        above = posixpath.dirname(place)
        if above and above not in self.nodes:
            self.put(above, folder())
        self.nodes[place] = node

    def keeps(self, path: str) -> bool:
        """Whether a path is taken."""
        if any(fnmatch.fnmatchcase(path, rule) for rule in self.kept):
            return True
        rules = [rule for rule in self.left_out if fnmatch.fnmatchcase(path, rule)]
        self.met.update(rules)
        return not rules

    def add_packages(self, debs: Sequence[Path]) -> dict[str, list[str]]:
        """Lay Debian packages out; {package: its paths}. Failure where two have the same file.

        Set-user-ID and set-group-ID are taken off: nothing in a session needs them.
        """
        owner: dict[str, str] = {}
        paths: dict[str, list[str]] = {}
        found = [(deb.name.partition("_")[0], deb) for deb in debs]
        for name, deb in sorted(found, key=lambda row: (row[0] != "base-files", row[0])):
            paths[name] = []
            for path, info, content in members(deb):
                if path == "." or not self.keeps(path):
                    continue
                node = _node(info, content, deb)
                place = self.place(path)
                known = self.nodes.get(place)
                if node.kind == "folder":
                    # A layer's folder would stand in the place of a link of the layers below.
                    if known is None and path not in self.aliases:
                        self.put(path, node)
                        paths[name].append(path)
                    continue
                if place in owner:
                    raise Failure(f"{path} is in the Debian packages {owner[place]} and {name}")
                owner[place] = name
                self.put(path, node)
                paths[name].append(path)
                if node.kind == "link" and "/" not in path and path not in self.aliases:
                    self.aliases[path] = node.target
        return paths

    def add_folder(self, root: Path, below: str, *, without: str) -> None:
        """Put all that is in a folder of this machine below `below`, but for its folder `without`."""
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if relative.parts[0] == without:
                continue
            name = posixpath.join(below, relative.as_posix())
            if not self.keeps(name):
                continue
            if path.is_symlink():
                self.put(name, link(str(path.readlink())))
            elif path.is_dir():
                self.put(name, folder())
            else:
                mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                self.put(name, Node("file", mode, data=path.read_bytes()))


def _node(info: tarfile.TarInfo, content: bytes, deb: Path) -> Node:
    mode, owner = info.mode & 0o1777, (info.uid, info.gid)
    if info.isdir():
        return Node("folder", mode, owner)
    if info.issym():
        return link(info.linkname)
    if info.islnk():
        return Node("same", mode, owner, target=posixpath.normpath(info.linkname))
    if info.isreg():
        return Node("file", mode, owner, content)
    raise Failure(f"{deb.name}: {info.name} is neither file nor folder nor link")


@dataclass(frozen=True)
class Blob:
    """A layer as it is stored: `diff_id` is the digest before compression, `size` is in bytes."""

    digest: str
    diff_id: str
    size: int


class _Hashed:
    """A file that is written, with the sha256 of what was."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self.stream, self.sum, self.size = stream, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        self.size += len(data)
        return self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self.sum.hexdigest()}"


def pack(nodes: Mapping[str, Node], target: Path) -> Blob:
    """Write the nodes as a layer, a tar compressed by gzip, sorted by path."""
    with target.open("wb") as raw:
        packed = _Hashed(raw)
        with gzip.GzipFile("", "wb", _LEVEL, packed, mtime=0) as zipped:
            plain = _Hashed(zipped)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
                # What is a second name comes after what it is another name of.
                for path in sorted(nodes, key=lambda path: (nodes[path].kind == "same", path)):
                    tar.addfile(*_entry(path, nodes[path]))
    return Blob(packed.digest, plain.digest, packed.size)


def _entry(path: str, node: Node) -> tuple[tarfile.TarInfo, IO[bytes]]:
    info = tarfile.TarInfo(path)
    info.mtime, info.mode, (info.uid, info.gid) = STAMP, node.mode, node.owner
    info.type = {
        "file": tarfile.REGTYPE,
        "folder": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "same": tarfile.LNKTYPE,
    }[node.kind]
    info.linkname, info.size = node.target, len(node.data)
    return info, io.BytesIO(node.data)


def settled(files: Files) -> dict[str, Node]:
    """The nodes with second names led to their file's place; Failure for one whose file is not there."""
    made = {}
    for path, node in files.nodes.items():
        if node.kind == "same":
            place = files.place(node.target)
            if place not in files.nodes or files.nodes[place].kind != "file":
                raise Failure(f"{path} is a second name of {place}, which is left out")
            node = replace(node, target=place)
        made[path] = node
    return made
