from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from upstream import Upstream

from backendai_serve.patches import TABLE, Unfit, exchanged, part

SOURCES = Path(__file__).resolve().parents[3] / "src"
# As upstream's app proxy worker uses it.
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

IMPORT_ALL = """
import importlib
for name in patches.TABLE:
    module = importlib.import_module(name)
    print(name, type(module.__spec__.loader).__name__)
"""
START = """#!{python}
import aiomonitor
print("it runs")
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


def test_every_module_that_is_changed_is_in_the_lock_and_fits(upstream: Upstream) -> None:
    said = [line.split() for line in upstream.run(IMPORT_ALL).splitlines()]
    assert [words for words in said if words[0] in TABLE] == [
        [name, "SourceFileLoader"] for name in TABLE
    ]


def test_a_service_does_not_start_with_another(tmp_path: Path) -> None:
    (tmp_path / "aiomonitor.py").write_text("class Other: pass\n")
    script = tmp_path / "server"
    script.write_text(START.format(python=sys.executable))
    script.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "backendai_serve", "--", str(script)],
        env={"PYTHONPATH": f"{SOURCES}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert "Unfit: aiomonitor: aiomonitor has no Monitor; it must be changed" in done.stderr
    assert "hint: install all Backend.AI packages from one release" in done.stderr


def test_text_is_exchanged_once_or_not_at_all() -> None:
    assert exchanged("m", "a b c", "b", "x") == "a x c"
    for text in ("a c", "b b"):
        with pytest.raises(Unfit, match=r"m: its source has [02] times instead of once: b"):
            exchanged("m", text, "b", "x")


def test_a_part_that_is_gone_is_named() -> None:
    assert part(Path, "exists") is Path.exists
    with pytest.raises(Unfit, match=r"pathlib.*: Path has no vanish"):
        part(Path, "vanish")
