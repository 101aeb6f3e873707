"""Copies of the checkout: tracked files and new ones, as they are now, without what is ignored."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from releasekit.errors import Failure


def source_files(root: Path) -> list[str]:
    """Paths of the sources relative to `root`, sorted. Failure when it is no git checkout."""
    argv = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise Failure(
            f"git does not list the sources of {root}: {detail.strip()}",
            hint="run this in a git checkout, by the user who owns it",
        ) from None
    # A file deleted but not yet committed is still listed.
    return sorted({name for name in done.stdout.split("\0") if name and _exists(root / name)})


def copy_sources(root: Path, target: Path, *, backwards: bool = False) -> int:
    """Copy the sources into the empty folder `target`; return how many files there are.

    Modes follow the umask, as after `git clone`. `backwards` creates the files in reverse order.
    """
    names = source_files(root)
    for name in reversed(names) if backwards else names:
        source, copy = root / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            copy.symlink_to(os.readlink(source))
            continue
        shutil.copyfile(source, copy)
        if source.stat().st_mode & stat.S_IXUSR:
            copy.chmod(0o755)
    return len(names)


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.is_file()
