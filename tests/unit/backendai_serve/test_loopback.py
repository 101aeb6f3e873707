from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[3] / "src"
# As upstream's app proxy worker calls it; the real module is too heavy for a unit test.
MONITOR = """
class Monitor:
    def __init__(self, loop, *, host="127.0.0.1", termui_port=0):
        self.host, self.termui_port = host, termui_port
"""
CALL = """
from backendai_serve import loopback
loopback.install()
import json, aiomonitor
from aiomonitor import other
made = aiomonitor.Monitor(None, host="0.0.0.0", termui_port=48600)
print(made.host, made.termui_port, other.HERE, type(aiomonitor.__spec__.loader).__name__)
"""


def test_a_monitor_listens_on_loopback_whatever_it_is_told(tmp_path: Path) -> None:
    package = tmp_path / "aiomonitor"
    package.mkdir()
    (package / "__init__.py").write_text(MONITOR)
    (package / "other.py").write_text("HERE = True\n")
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        env={"PYTHONPATH": f"{SOURCES}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["127.0.0.1", "48600", "True", "SourceFileLoader"]


def test_a_host_without_the_monitor_is_fine() -> None:
    call = "from backendai_serve import loopback; loopback.install()\nimport aiomonitor"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SOURCES)!r})\n{call}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError: No module named 'aiomonitor'" in done.stderr
