"""Files that the site file names: there, readable, and closed where they hold a secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backendai_ctl.site.faults import Fault


def file_faults(loc: tuple[str, ...], path: Path, *, secret: bool = False) -> Iterator[Fault]:
    """What is wrong with the file that a key names; of what root alone can tell, nothing for others."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError:
        if os.geteuid() == 0:
            yield Fault(loc, f"{path} cannot be read", "correct its mode")
        return  # only root can tell
    except OSError as error:
        yield Fault(loc, f"{path}: {error.strerror}", "name a file that exists")
        return
    if empty:
        yield Fault(loc, f"{path} is empty", "fill it")
    if secret and mode & 0o007:
        yield Fault(loc, f"{path} is open to everybody", f"run: chmod 600 {path}")
