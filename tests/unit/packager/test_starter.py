"""Promise: on a machine too busy to start the daemon of Pants in time, Pants runs without it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

STARTER = Path(__file__).resolve().parents[3] / "src/starter"
# What the busy machine does: the daemon's process starts, but has not written its number in time.
LATE = """
from pants.pantsd.pants_daemon_client import PantsDaemonClient
PantsDaemonClient.daemon_spawn = lambda self: None
wait = PantsDaemonClient.await_pid
PantsDaemonClient.await_pid = lambda self, timeout: wait(self, 0.2)
import runpy, sys
sys.argv[0] = {starter!r}
runpy.run_path({starter!r}, run_name="__main__")
"""


def pants(folder: Path, program: list[str]) -> subprocess.CompletedProcess[str]:
    (folder / "pants.toml").write_text('[GLOBAL]\npants_version = "2.17.1"\n')
    options = ["--anonymous-telemetry-enabled=false"]
    options += [f"--{name}={folder}/{name}" for name in ("pants-workdir", "local-store-dir")]
    options += [f"--named-caches-dir={folder}/named"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    call = [sys.executable, *program, *options, "version"]
    return subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True)


def test_a_late_daemon_is_done_without(tmp_path: Path) -> None:
    program = textwrap.dedent(LATE).format(starter=str(STARTER))
    done = pants(tmp_path, ["-c", program])
    assert done.returncode == 0 and "2.17.1" in done.stdout, done
    assert "did not start in time, the machine is busy" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_starter_it_is_a_traceback(tmp_path: Path) -> None:
    """So that the day is seen on which Pants does this itself."""
    program = textwrap.dedent(LATE).partition("import runpy")[0]
    done = pants(tmp_path, ["-c", f"{program}\nfrom pants.bin.pants_loader import main\nmain()"])
    assert done.returncode != 0 and "ProcessManager.Timeout" in done.stderr, done
