"""Looking into folders where a service, its user or another machine has a say.

Who may write to a folder may put a link, a pipe or an endless device in the place of any file in it,
and exchange a folder for a link while root walks through. So a path is walked folder by folder, each
opened in the one before; a link is followed only where root alone could have put it; and a file is read
only if it is a regular one, and only so much of it.

Standard library only: the trial of a volume (storage/trial.py) uses it, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASS = os.O_PATH | _FOLDER
_MOST_LINKS = 40  # as the kernel
PLANTED = "a link, in a folder that others than root may write to"


@contextmanager
def folder(path: Path, *, make: bool = False) -> Iterator[int]:
    """A handle of a folder, to list it and to open what is in it; with `make`, missing ones are made.

    FileNotFoundError if it is not there, NotADirectoryError if it is something else, ELOOP for a link
    that root did not put there.
    """
    passed = _walk(path, make=make)
    try:
        handle = os.open(".", os.O_RDONLY | _FOLDER, dir_fd=passed)
    finally:
        os.close(passed)
    try:
        yield handle
    finally:
        os.close(handle)


def read(path: Path, limit: int) -> bytes | None:
    """What is in a regular file, None if there is none. OSError for all else, also if it is longer."""
    try:
        at = _walk(path.parent)
    except FileNotFoundError:
        return None
    try:
        return read_in(at, path.name, limit)
    finally:
        os.close(at)


def read_in(at: int, name: str, limit: int) -> bytes | None:
    """`read`, in an open folder."""
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        return None
    try:
        mode = os.fstat(found).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "a link, where a file is expected", name)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "no regular file", name)
        # What was looked at and nothing else: its name may lead elsewhere by now.
        handle = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(found)
    with os.fdopen(handle, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes", name)
    return content


def identity(handle: int) -> tuple[int, int]:
    """Device and inode of what is open."""
    now = os.fstat(handle)
    return now.st_dev, now.st_ino


def _walk(path: Path, *, make: bool = False) -> int:
    """A handle of a folder that can be passed through, not listed; the caller closes it."""
    here, links = os.open("/", _PASS), 0
    way = _parts(os.path.join(os.getcwd(), path))
    try:
        while way:
            name = way.pop()
            try:
                here = _enter(here, name)
            except FileNotFoundError:
                if not make:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=here)
                way.append(name)
            except NotADirectoryError:
                target, links = _target(here, name), links + 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                way += _parts(target)
                if target.startswith("/"):
                    here = _enter(here, "/")
        return here
    except OSError as error:
        os.close(here)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _parts(path: str) -> list[str]:
    """The names on the way to a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _enter(here: int, name: str) -> int:
    """Open a folder in another one, which is closed."""
    opened = os.open(name, _PASS, dir_fd=here)
    os.close(here)
    return opened


def _target(here: int, name: str) -> str:
    """Where a link leads, if root (or who runs this) alone can have put it there."""
    around, link = os.fstat(here), os.lstat(name, dir_fd=here)
    if not stat.S_ISLNK(link.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    ours = (0, os.geteuid())
    shared = around.st_mode & 0o022 and not around.st_mode & stat.S_ISVTX
    if around.st_uid not in ours or link.st_uid not in ours or shared:
        raise OSError(errno.ELOOP, PLANTED)
    return os.readlink(name, dir_fd=here)
