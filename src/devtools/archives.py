"""The members of an archive, each as one line of facts, to find where two archives differ."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

Members = dict[str, str]  # name -> facts: mode, owner, time, size, sha256


def members(path: Path) -> Members:
    """Members of a deb, rpm, pex, zip or tar; empty for another kind of file."""
    try:
        if path.suffix == ".deb":
            return dict(_deb(path))
        if path.suffix == ".rpm":
            return dict(_cpio(io.BytesIO(_run("rpm2cpio", str(path)))))
        if zipfile.is_zipfile(path):
            return dict(_zip(path))
        if tarfile.is_tarfile(path):
            with path.open("rb") as stream:
                return dict(_tar(stream, ""))
    except (OSError, ValueError, tarfile.TarError, subprocess.CalledProcessError):
        return {}
    return {}


def difference(first: Members, second: Members) -> list[str]:
    """One line per member that is not the same in both; order counts when nothing else differs."""
    lines = []
    for name in sorted({*first, *second}):
        if name not in second:
            lines.append(f"only in the first: {name}")
        elif name not in first:
            lines.append(f"only in the second: {name}")
        elif first[name] != second[name]:
            lines.append(f"{name}\n    first:  {first[name]}\n    second: {second[name]}")
    if not lines and list(first) != list(second):
        lines.append("the same members in another order")
    return lines


def first_differing_bytes(first: Path, second: Path, count: int = 3) -> list[int]:
    """Offsets of the first bytes that differ; a file that ends early differs at its end."""
    offsets: list[int] = []
    with first.open("rb") as one, second.open("rb") as two:
        start = 0
        while len(offsets) < count:
            a, b = one.read(1 << 20), two.read(1 << 20)
            if a != b:
                both = min(len(a), len(b))
                offsets += [start + i for i in range(both) if a[i] != b[i]][: count - len(offsets)]
                if len(a) != len(b):
                    return [*offsets, start + both][:count]
            if not a:
                break
            start += len(a)
    return offsets


def _deb(path: Path) -> Iterator[tuple[str, str]]:
    for name, size, facts in _ar(path):
        yield f"ar: {name}", f"{facts} {size} bytes"
    for word, option in (("control", "--ctrl-tarfile"), ("data", "--fsys-tarfile")):
        data = _run("dpkg-deb", option, str(path))
        yield from _tar(io.BytesIO(data), f"{word}: ")


def _ar(path: Path) -> Iterator[tuple[str, int, str]]:
    """Members of an ar archive (deb(5)): name, size, and the facts of its header."""
    with path.open("rb") as stream:
        stream.seek(8)
        while header := stream.read(60):
            size = int(header[48:58])
            yield header[:16].decode().strip(), size, " ".join(header[16:48].decode().split())
            stream.seek(size + size % 2, 1)


def _tar(stream: IO[bytes], prefix: str) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=stream, mode="r:*") as archive:
        for item in archive:
            data = archive.extractfile(item)
            sum256 = _sha256(data.read()) if data else item.linkname
            owner = f"{item.uname or item.uid}:{item.gname or item.gid}"
            facts = f"{item.mode:04o} {owner} mtime {item.mtime} {item.size} bytes {sum256}"
            yield prefix + item.name, facts


def _zip(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            sum256 = _sha256(archive.read(item))
            packed = f"method {item.compress_type} packed {item.compress_size}"
            mode = f"{item.external_attr >> 16:o}"
            yield item.filename, f"{mode} {item.date_time} {packed} {item.file_size} bytes {sum256}"


def _cpio(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Members of a cpio archive of the "newc" form (cpio(5)), the payload of an rpm."""
    while True:
        header = stream.read(110)
        if header[:6] not in (b"070701", b"070702"):
            return
        numbers = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, uid, gid, mtime, size, named = (numbers[i] for i in (1, 2, 3, 5, 6, 11))
        name = stream.read(named)[:-1].decode()
        stream.read(-(110 + named) % 4)
        data = stream.read(size)
        stream.read(-size % 4)
        if name == "TRAILER!!!":
            return
        yield name, f"{mode:o} {uid}:{gid} mtime {mtime} {size} bytes {_sha256(data)}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _run(*argv: str) -> bytes:
    return subprocess.run(argv, capture_output=True, check=True).stdout
