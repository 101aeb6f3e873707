"""Fetching locked wheels with pip, in shards, each file verified before it enters the store."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from bootstrap.cache import Cache
from bootstrap.debs import from_vendor
from bootstrap.pip import Pip
from bootstrap.progress import Progress, at_once
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import PLATFORMS

_SHARD = 12
_AT_ONCE = 3
_TRIES = 2
_PAUSE = 3.0  # seconds


@dataclass(frozen=True)
class Wanted:
    """A wheel to fetch: distribution name, locked file and the Python it is for ("3.13")."""

    name: str
    entry: Entry
    python: str


def target_flags(python: str) -> list[str]:
    """pip's options that stand for CPython `python` on manylinux_2_28."""
    flags = [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={python}",
        f"--abi=cp{python.replace('.', '')}",
    ]
    return [*flags, *(f"--platform={name}" for name in PLATFORMS)]


def missing_wheels(cache: Cache, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Those that neither the store nor the vendor folder has, each file once."""
    missing: dict[str, Wanted] = {}
    for item in wanted:
        if item.entry.sha256 in missing or cache.store.has(item.entry):
            continue
        if not from_vendor(cache.store, item.entry):
            missing[item.entry.sha256] = item
    return list(missing.values())


def ensure_wheels(
    cache: Cache,
    pip: Pip,
    wanted: Sequence[Wanted],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring every wheel into the store. What was fetched before an error is kept."""
    missing = missing_wheels(cache, wanted)
    if not missing:
        return
    progress = Progress("wheels", len(missing), sum(item.entry.size for item in missing))
    cache.tmp.mkdir(parents=True, exist_ok=True)

    def one(shard: Sequence[Wanted]) -> None:
        _fetch_shard(cache, pip, shard, progress, sleep)

    at_once(_AT_ONCE, one, _shards(missing), progress)


def _shards(missing: Sequence[Wanted]) -> list[list[Wanted]]:
    """Groups of one Python, at most _SHARD files, similar in size; the largest files first.

    pip takes one version of a distribution: an image's other one is in another group.
    """
    seen: Counter[tuple[str, str]] = Counter()
    groups: dict[tuple[str, int], list[Wanted]] = {}
    for item in sorted(missing, key=lambda item: (-item.entry.size, item.name)):
        turn = seen[item.python, item.name]
        seen[item.python, item.name] += 1
        groups.setdefault((item.python, turn), []).append(item)
    shards: list[list[Wanted]] = []
    for _, mine in sorted(groups.items()):
        count = -(-len(mine) // _SHARD)
        shards.extend(mine[index::count] for index in range(count))
    return shards


def _fetch_shard(
    cache: Cache,
    pip: Pip,
    shard: Sequence[Wanted],
    progress: Progress,
    sleep: Callable[[float], None],
) -> None:
    left = list(shard)
    output = ""
    tries = _TRIES  # without anything arriving; pip itself repeats each request as well
    while tries:
        before = len(left)
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=cache.tmp) as folder:
            output = _pip_download(pip, left, Path(folder))
            left = _take(cache, Path(folder), left, progress)
        if not left:
            return
        if "No space left on device" in output:
            raise OSError(28, "No space left on device", str(cache.root))
        if "DO NOT MATCH THE HASHES" in output:
            break
        tries = _TRIES if len(left) < before else tries - 1
        if tries:
            sleep(_PAUSE)
    raise _explain(output, [item.entry.filename for item in left])


def _pip_download(pip: Pip, shard: Sequence[Wanted], folder: Path) -> str:
    lines = [
        f"{item.name}=={item.entry.version} --hash=sha256:{item.entry.sha256}\n" for item in shard
    ]
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(lines))
    done = subprocess.run(
        pip.argv(
            "download",
            "--no-deps",
            "--require-hashes",
            "--no-cache-dir",
            "--progress-bar=off",
            "--retries=3",
            *target_flags(shard[0].python),
            f"--dest={folder}",
            f"--requirement={requirements}",
        ),
        env=pip.env({"TMPDIR": str(folder)}),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _take(cache: Cache, folder: Path, shard: Sequence[Wanted], progress: Progress) -> list[Wanted]:
    """Move what arrived into the store; return what did not arrive."""
    left = []
    for item in shard:
        path = folder / item.entry.filename
        if path.is_file():
            cache.store.add(item.entry, path)
            progress.add(1, item.entry.size)
        else:
            left.append(item)
    return left


def _explain(output: str, names: Sequence[str]) -> Failure:
    """pip's long output as one clear error."""
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    errors = [line for line in output.splitlines() if line.startswith(("ERROR", "error"))]
    detail = "\n".join(errors[:6]) or output.strip()[-600:]
    for signs, what, hint in _CAUSES:
        if any(sign in output for sign in signs):
            return Failure(f"{what}: {shown}\n{detail}", hint=hint)
    return Failure(
        f"pip could not fetch {shown}\n{detail}",
        hint="run again (what was fetched is kept), or put the files into BACKENDAI_VENDOR",
    )


_CAUSES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("DO NOT MATCH THE HASHES",),
        "a wheel is not the locked one (sha256 differs)",
        "do not use it: the index or a proxy altered it; compare with another index",
    ),
    (
        ("ConnectionError", "NewConnectionError", "Max retries", "ConnectTimeout", "ReadTimeout"),
        "the Python package index cannot be reached",
        "check the network, the proxy and pip's configuration (pip config list); "
        "what was fetched is kept, so run again; or put the files into BACKENDAI_VENDOR",
    ),
    (
        ("No matching distribution", "Could not find a version"),
        "the Python package index does not have, or cannot be asked for, locked wheels",
        "check the network and pip's configuration (pip config list); if the wheels were "
        "withdrawn, put them into BACKENDAI_VENDOR or renew the lock",
    ),
)


def vendor_mapping(cache: Cache, wanted: Sequence[Wanted]) -> Mapping[str, Path]:
    """File name -> stored path of every wanted wheel, for programs that take a wheel folder."""
    return {item.entry.filename: cache.store.path(item.entry) for item in wanted}


def link_wheels(cache: Cache, wanted: Sequence[Wanted], folder: Path) -> None:
    """Fill `folder` with links to the stored wheels, as pip's --find-links wants them."""
    for name, path in vendor_mapping(cache, wanted).items():
        os.symlink(path, folder / name)
