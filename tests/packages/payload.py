"""What is inside a deb or an rpm: its fields, and every path with mode, owner, time and sha256."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TIMEOUT = 300  # seconds for one call of a tool

Visitor = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Member:
    """One path of a package. `mtime` is in seconds since the epoch; `mode` without the type."""

    kind: str  # file, dir or link
    mode: int
    owner: str
    mtime: int
    sha256: str = ""  # of a file's content
    target: str = ""  # of a link
    size: int = 0  # of a file, in bytes


@dataclass(frozen=True)
class Package:
    """A package file: `fields` as its own format names them, `members` by absolute path."""

    file: Path
    fields: Mapping[str, str]
    members: Mapping[str, Member] = field(repr=False)

    @property
    def name(self) -> str:
        return self.fields.get("Package") or self.fields["NAME"]

    def paths(self, *kinds: str) -> dict[str, Member]:
        """Members of these kinds."""
        return {path: member for path, member in self.members.items() if member.kind in kinds}


def read_deb(file: Path, visit: Visitor) -> Package:
    """Read a deb; `visit` sees every file's path and content."""
    text = output(["dpkg-deb", "--field", str(file)])
    fields: dict[str, str] = {}
    for name, value in re.findall(r"^(\S+):[ \t]*(.*(?:\n[ \t].*)*)", text, re.MULTILINE):
        fields[name] = value
    with stream(["dpkg-deb", "--fsys-tarfile", str(file)]) as source:
        return Package(file, fields, _members(source, visit))


# fmt: off
RPM_TAGS = (
    "NAME", "VERSION", "RELEASE", "ARCH", "LICENSE", "SUMMARY", "DESCRIPTION", "URL", "VENDOR", "PACKAGER",
    "GROUP", "BUILDHOST", "BUILDTIME",
)
_FILE_TAGS = (
    "FILENAMES", "FILEMODES:octal", "FILEUSERNAME", "FILEGROUPNAME", "FILEMTIMES", "FILEDIGESTS",
)
# fmt: on


def read_rpm(file: Path, visit: Visitor) -> Package:
    """Read an rpm: owners, modes and times are those of its header, which rpm installs by."""
    query = ["rpm", "-qp", "--nosignature", "--qf"]
    values = output([*query, "\x1e".join(f"%{{{tag}}}" for tag in RPM_TAGS), str(file)])
    fields = dict(zip(RPM_TAGS, values.split("\x1e"), strict=True))
    fields["REQUIRES"] = output([*query, "[%{REQUIRENEVRS}\n]", str(file)])
    fields["CHANGELOG"] = output([*query, "[%{CHANGELOGNAME}\n%{CHANGELOGTEXT}\n]", str(file)])
    with stream(["rpm2archive", "-n"], file) as source:
        packed = _members(source, visit)
    row = "\x1f".join(f"%{{{tag}}}" for tag in _FILE_TAGS)
    members = {}
    for line in output([*query, f"[{row}\n]", str(file)]).splitlines():
        path, mode, user, group, mtime, digest = line.split("\x1f")
        inside = packed[path]
        assert inside.kind != "file" or digest == inside.sha256, (
            f"{path}: header and payload differ"
        )
        members[path] = Member(
            inside.kind,
            int(mode, 8) & 0o7777,
            f"{user}:{group}",
            int(mtime),
            inside.sha256,
            inside.target,
            inside.size,
        )
    return Package(file, fields, members)


def _members(source: IO[bytes], visit: Visitor) -> dict[str, Member]:
    members = {}
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for info in tar:
            path = "/" + info.name.removeprefix(".").strip("/")
            owner = f"{info.uname or info.uid}:{info.gname or info.gid}".replace("0:0", "root:root")
            common = (info.mode & 0o7777, owner, int(info.mtime))
            if path == "/":
                continue
            if info.isdir():
                members[path] = Member("dir", *common)
            elif info.issym():
                members[path] = Member("link", *common, target=info.linkname)
            else:
                stored = tar.extractfile(info)
                assert stored is not None, f"{path}: neither file, folder nor link"
                data = stored.read()
                visit(path, data)
                digest = hashlib.sha256(data).hexdigest()
                members[path] = Member("file", *common, sha256=digest, size=len(data))
    return members


@contextmanager
def stream(argv: list[str], source: Path | None = None) -> Iterator[IO[bytes]]:
    """The standard output of a tool that reads `source`; it must end well."""
    assert shutil.which(argv[0]), f"{argv[0]} is not installed"
    stdin = source.open("rb") if source else None
    with subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout
        while process.stdout.read(1 << 20):  # padding after the end of the archive
            pass
        assert process.wait(TIMEOUT) == 0, f"{' '.join(argv)} failed"
    if stdin:
        stdin.close()


def output(argv: list[str]) -> str:
    """The standard output of a tool."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return done.stdout.rstrip("\n")
