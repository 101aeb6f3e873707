"""Writing files so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from backendai_ctl.errors import Problem
from backendai_ctl.platform import careful

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
    try:
        with careful.folder(path.parent, make=True) as at:
            if _same(at, path.name, content, mode, owner):
                return False
            _replace(at, path.name, content, mode, owner)
    except OSError as error:
        raise trouble(error, path) from error
    return True


def _replace(at: int, name: str, content: bytes, mode: int, owner: tuple[int, int]) -> None:
    temporary = f".backendai-{secrets.token_hex(8)}"  # however long the name is
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(temporary, new, 0o600, dir_fd=at)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fchmod(out.fileno(), mode)
            if os.geteuid() == 0:
                os.fchown(out.fileno(), *owner)
            os.fsync(out.fileno())
        os.replace(temporary, name, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=at)
        raise
    os.fsync(at)


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
        with careful.folder(path.parent, make=True) as above:
            changed = _made(above, path.name)
        with careful.folder(path) as at:
            now = os.fstat(at)
            if now.st_mode & 0o7777 != mode:
                os.fchmod(at, mode)
                changed = True
            if os.geteuid() == 0 and (now.st_uid, now.st_gid) != owner:
                os.fchown(at, *owner)
                changed = True
        return changed
    except OSError as error:
        raise trouble(error, path) from error


def _made(above: int, name: str) -> bool:
    try:
        os.mkdir(name, 0o755, dir_fd=above)
    except FileExistsError:
        return False
    return True


def holds(path: Path, text: str) -> bool:
    """Whether just this is in a file. For files in folders of other people's services as well."""
    content = text.encode()
    try:
        return careful.read(path, len(content)) == content
    except OSError:
        return False


def remove(path: Path) -> bool:
    """Remove a file if it is there, and say so; a link goes itself, never what it leads to."""
    try:
        with careful.folder(path.parent) as at:
            os.unlink(path.name, dir_fd=at)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise trouble(error, path) from error
    return True


def read(path: Path) -> str | None:
    """The text of a file, None if there is none.

    For what root alone, or the operator, has put there; for all else there is careful.read.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: cannot be read: {error}", hint="run it as root") from error


def trouble(error: OSError, path: Path | None = None) -> Problem:
    """What the operating system refused, as a Problem with its hint."""
    place = path or error.filename or "this host"
    return Problem(f"{place}: {error.strerror or error}", hint=_cure(error))


def _same(at: int, name: str, content: bytes, mode: int, owner: tuple[int, int]) -> bool:
    try:
        now = os.lstat(name, dir_fd=at)
        if now.st_mode & 0o7777 != mode:
            return False
        if os.geteuid() == 0 and (now.st_uid, now.st_gid) != owner:
            return False
        return careful.read_in(at, name, len(content)) == content
    except OSError:
        return False


def _cure(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some disk space, then run: backendai-ctl reconfigure"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "run it as root"
    return "see to the file system, then run: backendai-ctl reconfigure"
