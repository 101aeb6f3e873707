"""A program of its own: use a folder as a service would, and say how that went.

    user FOLDER NAME      as the services' user: write, read, rename, lock
    root FOLDER NAME      as root: what root is on the server, and whether it passes
    clean FOLDER NAME     as the services' user: remove what was made

Standard library only: it runs under another user, without our environment. One JSON object on standard
output; `failed` names the step that failed, if one did. Whoever else may write to the volume can put
anything into the folders of the trial while it runs, so root follows no link and opens no file there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backendai_ctl.platform import careful

TEXT = b"Backend.AI was here\n"
CLOSED, OPEN = "closed", "open"
OLD = 3600  # seconds


def user(place: Path) -> dict[str, object]:
    """Everything that services do with files, in a folder of its own; it is left for `root`."""
    file, renamed = place / "one", place / "two"
    seen: dict[str, object] = {}

    def make() -> None:
        os.umask(0)
        _forget(place.parent, place.name.rpartition("-")[0])
        place.mkdir(mode=0o755)
        (place / CLOSED).mkdir(mode=0o700)
        (place / OPEN).mkdir(mode=0o777)

    def write() -> None:
        with file.open("xb") as out:
            out.write(TEXT)
            out.flush()
            os.fsync(out.fileno())

    def read() -> None:
        if file.read_bytes() != TEXT:
            raise OSError(0, "other bytes came back")

    def owner() -> None:
        now = file.stat()
        seen["uid"], seen["gid"] = now.st_uid, now.st_gid

    def rename() -> None:
        file.rename(renamed)
        if file.exists() or not renamed.exists():
            raise OSError(0, "the old name is still there")

    def lock() -> None:
        with renamed.open("r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _refused(renamed):
                raise OSError(0, "two processes got the same lock")

    def remove() -> None:
        renamed.unlink()

    steps = (make, write, read, owner, rename, lock, remove)
    return {**_all(steps), **seen}


def root(place: Path) -> dict[str, object]:
    """What root of this host is on the server, by the owner of a file that it makes."""
    seen: dict[str, object] = {}

    def enter() -> None:
        with careful.folder(place / CLOSED) as at:
            os.listdir(at)

    def become() -> None:
        name, new = secrets.token_hex(16), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with careful.folder(place / OPEN) as at:
            handle = os.open(name, new, 0o600, dir_fd=at)
            now = os.fstat(handle)
            os.close(handle)
            seen["uid"], seen["gid"] = now.st_uid, now.st_gid
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=at)

    return {**_all((enter, become)), **seen}


def clean(place: Path) -> dict[str, object]:
    return _all((lambda: shutil.rmtree(place),))


def _all(steps: tuple[Callable[[], None], ...]) -> dict[str, object]:
    for step in steps:
        try:
            step()
        except OSError as error:
            reason = error.strerror or str(error)
            return {"failed": step.__name__, "error": reason, "errno": error.errno}
    return {"failed": ""}


def _forget(folder: Path, prefix: str) -> None:
    """Remove what earlier trials of this host left when their server went away."""
    for left in folder.glob(f"{prefix}-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > OLD:
                shutil.rmtree(left)


def _refused(path: Path) -> bool:
    """Whether another process is refused the lock."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException), path.open("r+b") as other:
            try:
                fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                status = 0
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main() -> None:
    part = {"user": user, "root": root, "clean": clean}[sys.argv[1]]
    print(json.dumps(part(Path(sys.argv[2]) / sys.argv[3])))
