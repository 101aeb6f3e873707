"""Looking at a volume and making it ready for the storage proxy.

A file system whose server is dead makes every system call on it hang: all looks have a timeout.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform import careful, files
from backendai_ctl.platform.run import run
from backendai_ctl.platform.together import together
from backendai_ctl.storage import made
from backendai_ctl.topology.places import Place

VERSION = "3"  # of the layout of folders in a volume; the storage proxy refuses one without it
VERSION_FILE = "version.txt"
TIMEOUT = 10.0  # seconds for a look
NO_VERSION = "no version in it"
_IS_VERSION = re.compile(r"[0-9][0-9.]*")
_LONGEST_VERSION = 16  # bytes
_FOLDER_MODE = 0o750
_IGNORED = {"lost+found", VERSION_FILE, f"{VERSION_FILE}.new"}  # the last: what a full disk left
# Runs as the services' user: root may not write to a volume that is on another machine.
_WRITE_VERSION = """umask 022; printf %s "$2" >"$1.new"; mv "$1.new" "$1" """


@dataclass(frozen=True)
class Look:
    """What is at a volume's path now."""

    kind: str  # folder, file, absent, or hangs: no answer in time
    mounted: bool = False
    read_only: bool = False
    usable: bool = False  # the services' user may read and write it
    version: str = ""  # what version.txt says, if that is one; else NO_VERSION
    empty: bool = True  # nothing in it but version.txt and lost+found
    size: int = 0  # bytes, of its file system
    free: int = 0  # bytes, for users
    error: str = ""
    closed: bool = False  # the error is that root of this host may not enter


def look(ctx: Context, path: Path, timeout: float = TIMEOUT) -> Look:
    """Look at a path for at most `timeout` seconds."""
    late = Look("hangs", error=f"no answer within {timeout:.0f} s: its server is down")
    return together({"": lambda: _look(path, ctx.numbers)}, timeout=timeout, late=late)[""]


def changes(ctx: Context, place: Place) -> list[Change]:
    """What is missing at a mounted or local volume. Problem if it cannot be used as it is."""
    found = look(ctx, place.path)
    _refuse(ctx, place, found)
    made = []
    if found.kind == "absent":
        made.append(Change(str(place.path), "make the folder"))
    elif not found.usable:
        made.append(Change(str(place.path), f"give the empty folder to {ctx.facts.user}"))
    if found.version != VERSION:
        made.append(Change(str(place.path / VERSION_FILE), f"write {VERSION}"))
    return made


def prepare(ctx: Context, place: Place) -> None:
    """Make the folder and its version.txt; what is in it stays as it is."""
    found = look(ctx, place.path)
    _refuse(ctx, place, found)
    if found.kind == "absent" or not found.usable:
        if place.remote:
            raise _not_ours(ctx, place)
        files.make_folder(place.path, mode=_FOLDER_MODE, owner=ctx.owner)
        if found.kind == "absent":
            made.remember(ctx, place.path)
    if found.version != VERSION:
        _write_version(ctx, place)


def _write_version(ctx: Context, place: Place) -> None:
    target = place.path / VERSION_FILE
    call = ["/bin/sh", "-euc", _WRITE_VERSION, "sh", str(target), VERSION]
    done = run(call, user=ctx.user, timeout=2 * TIMEOUT)
    if done.returncode:
        raise Problem(
            f"{target}: {ctx.facts.user} cannot write it: {done.tail}",
            hint=f"let {ctx.facts.user} ({ctx.facts.uid}:{ctx.facts.gid}) write to {place.path}",
        )


def _refuse(ctx: Context, place: Place, found: Look) -> None:
    """Problem for what only the operator can mend."""
    path = place.path
    where = f"{path} (volume {place.name})"
    if found.kind == "hangs":
        raise Pending(f"{where}: {found.error}", hint=f"see: mount | grep {path}")
    if found.closed and place.remote:
        uid, gid = ctx.numbers
        raise Problem(
            f"{where}: root of this node may not enter it: {found.error}",
            hint=f"on {place.volume.server}: chown {uid}:{gid} {place.volume.export}, and export it "
            f"with root_squash,anonuid={uid},anongid={gid}",
        )
    if found.error:
        raise Problem(f"{where}: {found.error}", hint=f"check {path}")
    if found.kind == "file":
        raise Problem(
            f"{where} is not a directory", hint=f"move it away, or set another path for {where}"
        )
    if found.read_only:
        raise Problem(
            f"{where} is on a file system that is mounted read-only",
            hint=f"mount it for writing: findmnt -T {path}",
        )
    if found.kind == "absent":
        return
    if not found.usable and not found.empty:
        raise _not_ours(ctx, place)
    if not found.empty and found.version != VERSION:
        version = f"version {found.version}" if found.version else f"no {VERSION_FILE}"
        if found.version.startswith(NO_VERSION):
            version = f"{VERSION_FILE} has {found.version}"
        raise Problem(
            f"{where} has files in it, but {version}: another layout, or no volume at all",
            hint="choose an empty folder; see Backend.AI's notes on migrating vfolders otherwise",
        )


def _not_ours(ctx: Context, place: Place) -> Problem:
    uid, gid = ctx.numbers
    return Problem(
        f"{place.path} (volume {place.name}): {ctx.facts.user} may not write to it",
        hint=f"run{' on ' + place.source.split(':')[0] if place.remote else ''}: "
        f"chown {uid}:{gid} {place.volume.export if place.remote else place.path}",
    )


def _look(path: Path, owner: tuple[int, int]) -> Look:
    """Never follows what the services' user or a server may have put there."""
    try:
        with careful.folder(path) as at:
            now, names = os.fstat(at), set(os.listdir(at))
            return replace(
                _disk(Look("folder"), at),
                mounted=path.is_mount(),
                usable=_usable(now, owner),
                version=_version(at),
                empty=not names - _IGNORED,
            )
    except FileNotFoundError:
        return _disk(Look("absent"), _nearest(path))
    except NotADirectoryError:
        return Look("file")
    except OSError as error:
        closed = error.errno == errno.EACCES
        return Look("folder", error=error.strerror or str(error), closed=closed)


def _disk(found: Look, place: Path | int) -> Look:
    disk = os.statvfs(place)
    return replace(
        found,
        read_only=bool(disk.f_flag & os.ST_RDONLY),
        size=disk.f_blocks * disk.f_frsize,
        free=disk.f_bavail * disk.f_frsize,
    )


def _version(at: int) -> str:
    """What version.txt says: a version, or nothing of what is in it is shown."""
    try:
        content = careful.read_in(at, VERSION_FILE, _LONGEST_VERSION)
    except PermissionError:
        raise
    except OSError as error:
        return f"{NO_VERSION} ({error.strerror})"
    text = (content or b"").decode("ascii", "replace").strip()
    return text if not text or _IS_VERSION.fullmatch(text) else NO_VERSION


def _usable(now: os.stat_result, owner: tuple[int, int]) -> bool:
    """By the bits of its mode: only this much can be said for another user."""
    if now.st_uid == owner[0]:
        return now.st_mode & 0o700 == 0o700
    if now.st_gid == owner[1]:
        return now.st_mode & 0o070 == 0o070
    return now.st_mode & 0o007 == 0o007


def _nearest(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.exists())
