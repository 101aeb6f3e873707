from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[3] / "src"
# As upstream's app proxy worker uses it; the real module is too heavy for a unit test.
MONITOR = """
class Monitor:
    def __init__(self, loop, *, host="127.0.0.1", termui_port=0):
        self.host, self.console_locals = host, {}
    def start(self):
        raise OSError("it listens")
    def close(self):
        raise AttributeError("it was not started")
"""
CALL = """
from backendai_serve import patches
patches.install()
import aiomonitor
from aiomonitor import other
made = aiomonitor.Monitor(None, host="0.0.0.0", termui_port=48600)
made.console_locals["app"] = None
made.start()
made.close()
print(other.HERE, type(aiomonitor.__spec__.loader).__name__)
"""
SPAWNING = """
import multiprocessing
import sys

def work():
    import aiomonitor
    aiomonitor.Monitor(None).start()
    print("worked", flush=True)

if __name__ == "__main__":
    from backendai_serve import patches
    patches.install()
    worker = multiprocessing.get_context("spawn").Process(target=work)
    worker.start()
    worker.join()
    sys.exit(worker.exitcode)
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Run Python with a monitor to import; what it said."""
    package = tmp_path / "aiomonitor"
    package.mkdir()
    (package / "__init__.py").write_text(MONITOR)
    (package / "other.py").write_text("HERE = True\n")

    def python(*words: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            env={"PYTHONPATH": f"{SOURCES}:{tmp_path}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


def test_a_monitor_never_listens(run: Callable[..., str]) -> None:
    assert run("-c", CALL).split() == ["True", "SourceFileLoader"]


def test_nor_does_one_of_a_spawned_process(run: Callable[..., str], tmp_path: Path) -> None:
    """The storage proxy spawns its workers: another Python, which knows nothing of this one."""
    program = tmp_path / "spawning.py"
    program.write_text(SPAWNING)
    assert run(program).split() == ["worked"]


def test_a_host_without_the_monitor_is_fine() -> None:
    call = "from backendai_serve import patches; patches.install()\nimport aiomonitor"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SOURCES)!r})\n{call}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError: No module named 'aiomonitor'" in done.stderr
