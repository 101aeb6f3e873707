"""Files of the locks, found in the cache: never fetched here, hosts tests use no network."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bootstrap.cache import default_cache
from bootstrap.debs import used_debs
from releasekit.errors import Failure
from releasekit.locks import read_debian_lock, read_python_lock

_STDLIB = "/libpython3.13-stdlib"


class NotInCache(Exception):
    """A locked file is not in the cache; the text says how to get it there."""


def wheel(repository: Path, name: str) -> Path:
    """The locked wheel of the distribution ``name`` (canonical)."""
    try:
        entry = read_python_lock(repository / "packaging/locks/python.lock").packages[name]
    except Failure as failure:
        raise NotInCache(str(failure)) from failure
    return _present(default_cache().root / "files" / entry.sha256 / entry.filename)


def unpack_testsuite(repository: Path, out: Path) -> Path:
    """Unpack CPython's package ``test`` into ``out``, a folder to put on PYTHONPATH.

    Debian splits it: the helpers (``test.support``, ``test.libregrtest``) are in the package
    of the standard library, of which nothing else may be unpacked: it would hide the runtime's.
    """
    cache = default_cache()
    try:
        lock = read_debian_lock(repository / "packaging/locks/debian.lock")
        library = {key: lock.packages[key] for key in lock.sets["python3.13"] if _STDLIB in key}
        used = used_debs(cache, {**library, **lock.of("testsuite")})
    except Failure as failure:
        raise NotInCache(str(failure)) from failure
    out.chmod(0o755)  # pytest's own folders are private, the tests run unprivileged
    for entry in used.values():
        file = _present(cache.root / "files" / entry.sha256 / entry.filename)
        payload = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(file)], check=True, capture_output=True, timeout=120
        )
        subprocess.run(
            ["tar", "-x", "-C", str(out), "--strip-components=4", "./usr/lib/python3.13/test"],
            input=payload.stdout,
            check=True,
            timeout=120,
        )
    return out


def _present(path: Path) -> Path:
    if not path.is_file():
        raise NotInCache(f"not in the cache: {path.name}: run scripts/test hosts, which fetches it")
    return path
