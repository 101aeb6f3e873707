"""Costly things for both processes of a run: made by the first that needs them, removed by the last."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def once(
    factory: pytest.TempPathFactory,
    name: str,
    make: Callable[[Path], object],
    unmake: Callable[[Path], object] = lambda _folder: None,
) -> Iterator[Path]:
    """A folder that `make` filled, until the block ends; in the other process it may be there already.

    Locks are of open files: a process that is killed holds none.
    """
    base = factory.getbasetemp()
    base = (
        base.parent if base.name.startswith("popen-") else base
    )  # pytest-xdist's own of a process
    folder, whole = base / f"both-{name}", base / f"both-{name}.whole"
    with (base / f"{name}.making").open("w") as making, (base / f"{name}.using").open("w") as using:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
        fcntl.flock(using, fcntl.LOCK_SH)
        fcntl.flock(making, fcntl.LOCK_UN)
        try:
            yield folder
        finally:
            fcntl.flock(making, fcntl.LOCK_EX)
            with suppress(BlockingIOError):  # the other process uses it
                fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
                whole.unlink()
                unmake(folder)
                shutil.rmtree(folder, ignore_errors=True)
