"""Removing a folder with all that is in it, and nothing beyond: no link is followed, no mount entered."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.platform import careful, files

MOUNTS = Path("/proc/self/mountinfo")
Identity = tuple[int, int]  # device and inode


def mounts_in(path: Path) -> list[Path]:
    """Where something is mounted at a folder or below it, by the kernel's table: nobody is asked."""
    real = Path(os.path.realpath(path))
    lines = MOUNTS.read_text("utf-8", errors="surrogateescape").splitlines()
    found = (Path(_plain(line.split(" ")[4])) for line in lines)
    return sorted({place for place in found if place.is_relative_to(real)})


def remove(path: Path, identity: Identity | None = None) -> None:
    """Remove a folder; with `identity`, only if it is still that one. Nothing if there is none.

    Problem for what keeps it, a mount in it among others: before anything is removed where the kernel's
    table shows it, else when it is met.
    """
    if found := mounts_in(path):
        raise Problem(f"{path}: {found[0]} is mounted", hint=f"umount {found[0]}")
    try:
        with careful.folder(path.parent) as above:
            top = os.open(path.name, _OPEN, dir_fd=above)
            if identity not in (None, careful.identity(top)):
                os.close(top)
                raise Problem(f"{path}: it is another folder by now")
            _empty(top, path)
            os.rmdir(path.name, dir_fd=above)
    except FileNotFoundError:
        return
    except OSError as error:
        raise files.trouble(error, path) from error


_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _empty(top: int, path: Path) -> None:
    """Remove what is in an open folder, and close it.

    One folder is open at a time, however deep it goes; the way back is checked, since somebody may
    move a folder meanwhile.
    """
    here, bounds, inner = top, _bounds(top), _remove_files(top)
    above: list[
        tuple[str, Identity, list[str]]
    ] = []  # the folder's name, what it is in, the others
    try:
        while inner or above:
            if inner:
                name = inner.pop()
                with contextlib.suppress(FileNotFoundError):
                    below = os.open(name, _OPEN, dir_fd=here)
                    above.append((name, careful.identity(here), inner))
                    os.close(here)
                    here = below
                    if _bounds(here) != bounds:
                        place = "/".join(name for name, _, _ in above)
                        raise OSError(errno.EXDEV, f"{place} in it is another file system")
                    inner = _remove_files(here)
                continue
            name, identity, inner = above.pop()
            back = os.open("..", _OPEN, dir_fd=here)
            os.close(here)
            here = back
            if careful.identity(here) != identity:
                raise OSError(errno.EBUSY, f"{name} in it was moved meanwhile")
            os.rmdir(name, dir_fd=here)
    finally:
        os.close(here)


def _remove_files(here: int) -> list[str]:
    """Remove all but the folders in a folder; these."""
    inner = []
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.name, dir_fd=here)
    return inner


def _bounds(handle: int) -> tuple[int, str]:
    """Device and mount of an open folder: a bind mount is another mount of the same device."""
    found = re.search(r"^mnt_id:\s*(\d+)", Path(f"/proc/self/fdinfo/{handle}").read_text(), re.M)
    return os.fstat(handle).st_dev, found[1] if found else ""


def _plain(path: str) -> str:
    """A path of the kernel's tables, which write blanks and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
