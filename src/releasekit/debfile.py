"""Reading Debian packages without dpkg: the ar archive, the tar archives in it, safe extraction.

Format: deb(5). Members compressed by gzip, xz or not at all are read; zstd is refused (no reader
in the standard library; Debian's own archive does not use it).
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Callable

from releasekit.deb822 import paragraphs
from releasekit.errors import Failure

try:
    import lzma
except ImportError:  # so was this Python built; see _decompressed
    lzma = None  # type: ignore[assignment]

_MAGIC = b"!<arch>\n"
_HEADER = 60  # bytes of an ar header
_DAMAGED: tuple[type[Exception], ...] = (
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
)
if lzma:
    _DAMAGED += (lzma.LZMAError,)


def _ar_members(stream: IO[bytes], where: Path) -> Iterator[tuple[str, int]]:
    """Yield (name, size) with the stream at the member's first byte."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise Failure(f"{where} is not a Debian package (no ar archive)")
    while True:
        header = stream.read(_HEADER)
        if not header:
            return
        size = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not size.isdigit():
            raise Failure(f"{where}: broken ar archive, the file is damaged or cut short")
        start = stream.tell()
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), int(size)
        stream.seek(start + int(size) + int(size) % 2)


def _decompressed(name: str, raw: io.BytesIO, where: Path) -> Any:
    kind = name.rsplit(".", 1)[1] if name.count(".") > 1 else ""
    if not kind:
        return raw
    if kind == "gz":
        return gzip.open(raw)
    if kind == "xz":
        if not lzma:
            raise Failure(
                f"{where}: this Python was built without lzma",
                hint="run with Debian's own python3 (package python3)",
            )
        return lzma.open(raw)
    if kind == "bz2":
        return bz2.open(raw)
    raise Failure(
        f"{where}: {name}: compression {kind!r} is not supported",
        hint="take the package from Debian's archive (gzip or xz)",
    )


def _tar(path: Path, prefix: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield every member of the first tar archive whose name starts with `prefix`."""
    with path.open("rb") as stream:
        for name, size in _ar_members(stream, path):
            if not name.startswith(prefix):
                continue
            raw = stream.read(size)
            if len(raw) != size:
                raise Failure(f"{path}: {name} is cut short")
            try:
                with (
                    _decompressed(name, io.BytesIO(raw), path) as plain,
                    tarfile.open(fileobj=plain, mode="r|") as tar,
                ):
                    for info in tar:
                        content = tar.extractfile(info) if info.isreg() else None
                        yield info, b"" if content is None else content.read()
            except _DAMAGED as error:
                raise Failure(f"{path}: {name} is damaged: {error}") from None
            return
    raise Failure(f"{path} is not a Debian package ({prefix}* is missing)")


def control(path: Path) -> dict[str, str]:
    """The control fields of a package, continuation lines joined by newlines."""
    for info, content in _tar(path, "control.tar"):
        if posixpath.normpath(info.name) == "control":
            text = content.decode("utf-8", "replace")
            fields = next(paragraphs(text), {})
            if "\N{REPLACEMENT CHARACTER}" in text or not fields or "" in fields:
                raise Failure(f"{path}: the control file is damaged")
            return fields
    raise Failure(f"{path}: the control file is missing")


def members(path: Path) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """Every file, folder and link of a package: its name, relative to the root, what it is, its content.

    A name that leaves the root is refused.
    """
    for info, content in _tar(path, "data.tar"):
        yield _inside(info.name, path), info, content


def extract(
    path: Path, dest: Path, wanted: Callable[[str], bool] = lambda name: True
) -> list[Path]:
    """Unpack the data of a package below `dest`, which must exist; return the paths of files and links.

    `wanted` gets each name relative to the root ("usr/bin/x"). Refused with a Failure: names or
    links that leave `dest`, writing through a link, devices. Absolute links are made relative:
    they mean the package's root, not the host's. Owners and times are not kept; modes are 755/644.
    """
    written = []
    for name, info, content in members(path):
        if name == "." or info.isdir() or not wanted(name):
            continue
        target = _free_target(dest, name, path)
        if info.issym():
            target.symlink_to(_link_target(name, info.linkname, path))
        elif info.islnk():
            source = _below(dest, _inside(info.linkname, path), path)
            if source.is_symlink() or not source.is_file():
                raise Failure(f"{path}: hard link {name} names no file of the package")
            os.link(source, target)
        elif info.isreg():
            target.write_bytes(content)
            target.chmod(0o755 if info.mode & 0o111 else 0o644)
        else:
            raise Failure(f"{path}: {name} is neither file nor folder nor link")
        written.append(target)
    return written


def _inside(name: str, path: Path) -> str:
    plain = posixpath.normpath(name)
    if plain.startswith(("/", "../")) or plain == "..":
        raise Failure(f"{path}: {name!r} leaves the package's root")
    return plain


def _below(dest: Path, name: str, path: Path) -> Path:
    """`dest/name`, after a check that no folder on the way is a link."""
    target = dest
    for part in name.split("/")[:-1]:
        target = target / part
        if target.is_symlink():
            raise Failure(f"{path}: {name} would be written through the link {target}")
    return dest / name


def _free_target(dest: Path, name: str, path: Path) -> Path:
    target = _below(dest, name, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    return target


def _link_target(name: str, link: str, path: Path) -> str:
    folder = posixpath.dirname(name)
    if link.startswith("/"):
        return posixpath.relpath(posixpath.normpath(link).lstrip("/"), folder or ".")
    if posixpath.normpath(posixpath.join(folder, link)).startswith("../"):
        raise Failure(f"{path}: link {name} -> {link} leaves the package's root")
    return link
