"""Tar files whose bytes depend on names, modes and contents alone."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path


def file_mode(path: Path) -> int:
    """0755 for folders and anything executable by its owner, else 0644: no umask ever shows."""
    executable = path.is_dir() or bool(path.stat().st_mode & 0o100)
    return 0o755 if executable else 0o644


def pack(root: Path, target: Path, *, mtime: int) -> list[str]:
    """Write everything below `root` to the tar file `target`; return the paths, sorted.

    Entries are sorted, owned by 0:0 and stamped `mtime` (seconds since the epoch). Links stay links.
    """
    paths = sorted(p.relative_to(root).as_posix() for p in root.rglob("*"))
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in paths:
            path = root / name
            info = tarfile.TarInfo(name)
            info.mtime = mtime
            if path.is_symlink():
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
                tar.addfile(info)
            elif path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = path.stat().st_size, file_mode(path)
                with path.open("rb") as source:
                    tar.addfile(info, source)
    return paths


def unpack(source: Path, root: Path) -> list[tarfile.TarInfo]:
    """Unpack a tar made by `pack` below `root` with its modes and time stamps; return its entries."""
    root.mkdir(parents=True, exist_ok=True)
    entries = []
    with tarfile.open(source) as tar:
        for info in tar:
            path = root / info.name
            if info.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif info.issym():
                path.symlink_to(info.linkname)
            else:
                _write(tar, info, path)
            entries.append(info)
    return entries


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    data = tar.extractfile(info)
    assert data is not None
    with data, path.open("wb") as out:
        while chunk := data.read(1 << 20):
            out.write(chunk)
    path.chmod(info.mode)
    os.utime(path, (info.mtime, info.mtime))
