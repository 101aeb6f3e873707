"""Writing files so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from backendai_ctl.errors import Problem

OURS = "# Written by backendai-ctl from site.toml"
HEAD = f"{OURS}; changes here are lost at its next run.\n"  # of files that have one owner alone


def write(
    path: Path, data: str | bytes, *, mode: int = 0o600, owner: tuple[int, int] = (0, 0)
) -> bool:
    """Replace `path` atomically if content, mode or owner differ; say whether it was changed.

    The owner is set only when running as root. Missing folders are made (0755). Problem if the
    disk is full or the folder is read-only; the old file is untouched then.
    """
    content = data.encode() if isinstance(data, str) else data
    if _same(path, content, mode, owner):
        return False
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fchmod(out.fileno(), mode)
            if os.geteuid() == 0:
                os.fchown(out.fileno(), *owner)
            os.fsync(out.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise trouble(error, path) from error
    return True


def sync_folder(folder: Path) -> None:
    """Make names in `folder` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path, *, mode: int, owner: tuple[int, int] = (0, 0)) -> bool:
    """Make a folder, or give it this mode and owner; say whether something changed."""
    try:
        changed = not path.is_dir()
        path.mkdir(parents=True, exist_ok=True)
        now = path.stat()
        if now.st_mode & 0o7777 != mode:
            path.chmod(mode)
            changed = True
        if os.geteuid() == 0 and (now.st_uid, now.st_gid) != owner:
            os.chown(path, *owner)
            changed = True
        return changed
    except OSError as error:
        raise trouble(error, path) from error


def read(path: Path) -> str | None:
    """The text of a file, None if there is none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read: {error}", hint="run it as root") from error


def trouble(error: OSError, path: Path | None = None) -> Problem:
    """What the operating system refused, as a Problem with its cure."""
    place = path or error.filename or "this host"
    return Problem(f"{place}: {error.strerror or error}", hint=_cure(error))


def _same(path: Path, content: bytes, mode: int, owner: tuple[int, int]) -> bool:
    try:
        now = path.lstat()
        if path.is_symlink() or now.st_mode & 0o7777 != mode:
            return False
        if os.geteuid() == 0 and (now.st_uid, now.st_gid) != owner:
            return False
        return path.read_bytes() == content
    except OSError:
        return False


def _cure(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some disk space, then run: backendai-ctl reconfigure"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "run it as root"
    return "see to the file system, then run: backendai-ctl reconfigure"
