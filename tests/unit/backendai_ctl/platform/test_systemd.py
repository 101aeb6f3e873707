"""What we find out about systemd and about ourselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backendai_ctl.platform import systemd

SOURCE = Path(systemd.__file__).parents[2]
ASK = "from backendai_ctl.platform import systemd; print(systemd.apart())"


# With a PID 1 of its own: that of this machine may not be looked at.
APART = ("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@"; unshare --net "$@"', "sh")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root, unshare")
def test_a_network_of_ones_own_is_noticed() -> None:
    """Where rpm's plugin runs scripts; see `hooks.triggered`."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    call = [*APART, sys.executable, "-c", ASK]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"


def test_without_proc_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def samefile(one: str, other: str) -> bool:
        raise FileNotFoundError(other)

    monkeypatch.setattr(systemd.os.path, "samefile", samefile)
    assert systemd.apart() is False
