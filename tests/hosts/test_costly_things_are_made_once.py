"""Promise of the harness: what both processes of a run use is made once, and nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
USER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
from both import once
base, log = Path(sys.argv[2]), Path(sys.argv[2]).parent / "log"
def note(word):
    with log.open("a") as stream:
        stream.write(word + " ")
def make(folder):
    note("made")
    time.sleep(0.5)
    (folder / "x").write_text("whole")
factory = SimpleNamespace(getbasetemp=lambda: base)
with once(factory, "thing", make, lambda folder: note("unmade")) as folder:
    assert (folder / "x").read_text() == "whole"
    time.sleep(float(sys.argv[3]))
    assert (folder / "x").read_text() == "whole"
"""


def user(base: Path, seconds: float) -> subprocess.Popen[bytes]:
    base.mkdir(exist_ok=True)
    argv = [sys.executable, "-c", USER, str(HERE), str(base), str(seconds)]
    return subprocess.Popen(argv)


def test_the_second_waits_for_the_first_and_the_last_removes_it(tmp_path: Path) -> None:
    both = [user(tmp_path / f"popen-gw{n}", 0.5 + n) for n in range(2)]
    assert [process.wait(20) for process in both] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["made", "unmade"]
    assert not list(tmp_path.glob("both-*"))


def test_one_that_was_killed_in_the_middle_leaves_it_to_be_made_anew(tmp_path: Path) -> None:
    first = user(tmp_path / "popen-gw0", 30)
    log = tmp_path / "log"
    while not (log.exists() and log.read_text()):  # it exists an instant before it says anything
        assert first.poll() is None
    first.kill()
    first.wait()
    assert user(tmp_path / "popen-gw1", 0).wait(20) == 0
    assert log.read_text().split() == ["made", "made", "unmade"]
