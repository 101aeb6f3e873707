"""The locked wheels of upstream, unpacked, and programs that run with them as services do."""

from __future__ import annotations

import fcntl
import os
import subprocess
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap.cache import default_cache
from releasekit.locks import Wheel, read_python_lock

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120  # seconds, of a program: the first one compiles what it imports
PROGRAM = "from backendai_serve import patches\npatches.install()\n"
UNCHANGED = "import sys\n"
# Metrics of a program whose figures nobody looks at.
COUNTERS = """
class Counters:
    def __getattr__(self, name):
        return self
    def __call__(self, *words, **named):
        return self
"""


def locked() -> dict[str, Wheel]:
    return dict(read_python_lock(ROOT / "packaging/locks/python.lock").packages)


def file(wheel: Wheel) -> Path:
    found = default_cache().root / "files" / wheel.sha256 / wheel.filename
    if not found.exists():
        pytest.skip(f"{wheel.filename} is not in the cache: run ./pants once")
    return found


def python() -> Path:
    found = sorted(default_cache().root.glob("pythons/3.13-*/bin/python3.13"))
    if not found:
        pytest.skip("the cache has no CPython 3.13: run ./pants once")
    return max(found, key=lambda path: path.stat().st_mtime)


def closure(wanted: Iterable[str]) -> set[str]:
    """Distributions and all they need, `NAME[EXTRA]` included."""
    packages, found, todo = locked(), set[str](), list(wanted)
    while todo:
        name, _, extras = todo.pop().rstrip("]").partition("[")
        wheel = packages[name]
        for extra in filter(None, extras.split(",")):
            todo += [r for r in wheel.extras.get(extra, ()) if r.split("[")[0] not in found]
        if name not in found:
            found.add(name)
            todo += wheel.requires
    return found


@dataclass(frozen=True)
class Upstream:
    """A folder to import from."""

    folder: Path

    def run(self, program: str, *, changed: bool = True, address: str = "") -> str:
        """What a program prints that imports upstream's modules, changed as in a service.

        With an address it is in a network namespace that has this one besides loopback.
        """
        words = [str(python()), "-c", (PROGRAM if changed else UNCHANGED) + program]
        if address:
            add = f'ip link set lo up; ip address add {address} dev lo; exec "$@"'
            words = ["unshare", "-n", "sh", "-c", add, "sh", *words]
        done = subprocess.run(
            words,
            env={
                "PYTHONPATH": f"{ROOT / 'src'}:{self.folder}",
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout


def shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a test run have in common."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "upstream"


def unpack(folder: Path, wanted: Iterable[str]) -> Upstream:
    """The wheels' code, once for all processes of a test run."""
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for name in sorted(closure(wanted)):
            flag = folder / f".{name}"
            if flag.exists():
                continue
            with zipfile.ZipFile(file(locked()[name])) as wheel:
                wheel.extractall(folder, [n for n in wheel.namelist() if "/static/" not in n])
            flag.touch()
    return Upstream(folder)
