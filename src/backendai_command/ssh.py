"""Says what `backend.ai ssh` and `scp` lack before they begin, where upstream ends in a traceback."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

PROGRAMS = ("ssh", "scp")
_PLACES = (
    3  # of a command among the words: `session ssh`, with a value of a global option before it
)
_DEBIAN = Path("/etc/debian_version")


def wanted(words: Sequence[str]) -> bool:
    """Whether the command may be one that starts these programs; knowing it loads its modules early."""
    plain = [word for word in words if not word.startswith("-")]
    return not {*PROGRAMS}.isdisjoint(plain[:_PLACES])


def prepare(package: Any) -> None:
    """Change upstream's modules of this package: the command looks first, and starts itself as this."""
    commands: Any = import_module(f"{package.__name__}.lifecycle")
    itself: Any = import_module(f"{package.__name__}.ssh")
    itself.CLI_EXECUTABLE = (
        sys.executable,
        "-I",
        "-m",
        "backendai_command",
    )
    plain = commands.container_ssh_ctx

    @contextmanager
    def looking_first(session: str, port: int) -> Iterator[Path]:
        if absent := [name for name in PROGRAMS if not shutil.which(name)]:
            print(
                f"backend.ai: {' and '.join(absent)}: not installed\nhint: {_cure()}",
                file=sys.stderr,
            )
            raise SystemExit(1)
        with plain(session, port) as key:
            yield key

    commands.container_ssh_ctx = looking_first


def _cure() -> str:
    if _DEBIAN.exists():
        return "apt install openssh-client"
    return "dnf install openssh-clients"
