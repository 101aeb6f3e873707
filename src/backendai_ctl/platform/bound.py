"""Programs whose lives are bound to ours: the kernel kills them when we die (PR_SET_PDEATHSIG)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO


class Said:
    """What programs write to `out`, to be told when they fail. In memory: the disk may be full."""

    def __init__(self) -> None:
        self.out: IO[bytes] = open(os.memfd_create("said"), "w+b")  # noqa: SIM115

    def all(self) -> str:
        """Every word of it: secrets or rows may be among them."""
        self.out.seek(0)
        return self.out.read().decode("utf-8", "replace")


def bound(argv: Sequence[str], user: str | int, group: str | int, *options: str) -> list[str]:
    """The call by which `argv` runs as somebody else, if we are root, and dies with us.

    options: more of setpriv(1).
    """
    words = ["setpriv", "--pdeathsig=KILL", *options]
    if os.geteuid() == 0:
        words += [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return [*words, "--", *argv]
