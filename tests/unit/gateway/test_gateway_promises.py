"""The gateway keeps its promises: the programs `*.test.mjs`, run by Node's own test runner."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = sorted(path.name for path in Path(__file__).parent.glob("*.test.mjs"))
TIMEOUT = 300  # seconds


@pytest.mark.parametrize("program", PROGRAMS)
def test_gateway_keeps_promises_of(program: str, kit: Any, built: Path, workshop: Path) -> None:
    environment = {"GATEWAY_DIR": str(built), "PATH": os.defpath, "TMPDIR": str(workshop)}
    done = subprocess.run(
        [str(kit.node), "--test", "--test-reporter=spec", program],
        cwd=workshop,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "pass 0\n" not in done.stdout
