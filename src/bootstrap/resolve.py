"""Resolving distributions with pip's own resolver into entries of a lock."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bootstrap.cache import Cache
from bootstrap.pip import Pip
from bootstrap.progress import say
from bootstrap.wheels import target_flags
from releasekit.errors import Failure
from releasekit.files import Entry, sha256_of
from releasekit.locks import canonical

_PROBE = """
import json, sys
from pip._vendor.packaging.markers import default_environment
env = dict(default_environment())
env.update(platform_release="", platform_version="")
print(json.dumps(env))
"""

_PINNED = re.compile(r"The user requested \(constraint\) ([\w.-]+)==")


@dataclass(frozen=True)
class Resolved:
    """One distribution as pip's report gives it."""

    name: str
    version: str
    filename: str
    sha256: str
    requires: tuple[str, ...]


def resolve(
    pip: Pip,
    python: str,
    roots: Sequence[str],
    *flags: str,
    kept: Mapping[str, Entry] = MappingProxyType({}),
    held: Mapping[str, Entry] = MappingProxyType({}),
) -> dict[str, Resolved]:
    """Resolve `roots` for CPython `python` on manylinux_2_28, by canonical name.

    Whatever is in `kept` is taken at its version there, unless something needs another one, which is told;
    what is in `held` is, or the resolution fails.

    The running Python evaluates the markers, so `pip.python` must be of that version.
    Only published indexes are read (see Pip.published_only).
    """
    pins = dict(kept)
    while True:
        found, said = _tried(pip, python, roots, flags, {**pins, **held})
        if found is not None:
            return found
        # Without --quiet pip names what it cannot keep.
        named = {canonical(name) for name in _PINNED.findall(said)} & pins.keys() - held.keys()
        if not named:
            detail = "\n".join(said.strip().splitlines()[-8:])
            raise Failure(
                f"pip cannot resolve {', '.join(roots)}:\n{detail}",
                hint="check the network, pip's configuration and the versions asked for",
            )
        say(f"Not kept, for something needs another version: {', '.join(sorted(named))}")
        pins = {name: entry for name, entry in pins.items() if name not in named}


def _tried(
    pip: Pip, python: str, roots: Sequence[str], flags: Sequence[str], pins: Mapping[str, Entry]
) -> tuple[dict[str, Resolved] | None, str]:
    """What pip resolves with these pins, None if it cannot; and what it said of that."""
    with tempfile.TemporaryDirectory(prefix="resolve-") as name:
        folder = Path(name)
        (folder / "roots.txt").write_text("".join(f"{root}\n" for root in roots))
        lines = (f"{name}=={entry.version}\n" for name, entry in pins.items())
        (folder / "kept.txt").write_text("".join(lines))
        done = pip.run(
            "install",
            "--dry-run",
            "--ignore-installed",
            f"--target={folder / 'target'}",
            f"--report={folder / 'report.json'}",
            *target_flags(python),
            *flags,
            f"--requirement={folder / 'roots.txt'}",
            f"--constraint={folder / 'kept.txt'}",
            env=pip.published_only(),
        )
        if done.returncode != 0:
            return None, f"{done.stdout}\n{done.stderr}"
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    found = [_resolved(item) for item in report["install"]]
    return {item.name: item for item in sorted(found, key=lambda item: item.name)}, ""


def _resolved(item: Mapping[str, Any]) -> Resolved:
    info, metadata = item["download_info"], item["metadata"]
    return Resolved(
        name=canonical(metadata["name"]),
        version=metadata["version"],
        filename=info["url"].rsplit("/", 1)[1].replace("%2B", "+"),
        sha256=info["archive_info"]["hashes"]["sha256"],
        requires=tuple(metadata.get("requires_dist", ())),
    )


def fetch_sizes(cache: Cache, pip: Pip, items: Sequence[Resolved], python: str) -> dict[str, Entry]:
    """Fetch what is missing into the store, and give the entries with their sizes."""
    entries = {}
    missing: list[Resolved] = []
    for item in items:
        stored = cache.store.root / item.sha256 / item.filename
        if stored.is_file():
            size = stored.stat().st_size
            entries[item.name] = Entry(item.version, item.filename, item.sha256, size)
        else:
            missing.append(item)
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        print(f"  fetching {start + len(batch)}/{len(missing)} wheels", file=sys.stderr, flush=True)
        entries.update(_fetch_batch(cache, pip, batch, python))
    return {name: entries[name] for name in sorted(entries)}


_BATCH = 24


def _fetch_batch(
    cache: Cache, pip: Pip, batch: Sequence[Resolved], python: str
) -> dict[str, Entry]:
    cache.tmp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lock-", dir=cache.tmp) as name:
        folder = Path(name)
        lines = [f"{item.name}=={item.version} --hash=sha256:{item.sha256}\n" for item in batch]
        (folder / "requirements.txt").write_text("".join(lines))
        done = pip.run(
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--no-cache-dir",
            *target_flags(python),
            f"--dest={folder}",
            f"--requirement={folder / 'requirements.txt'}",
            env=pip.published_only(),
        )
        entries = {}
        for item in batch:
            path = folder / item.filename
            if not path.is_file():
                raise Failure(
                    f"pip did not fetch {item.filename}:\n{done.stderr.strip()[-800:]}",
                    hint="run again; what was fetched is kept",
                )
            entry = Entry(item.version, item.filename, sha256_of(path), path.stat().st_size)
            if entry.sha256 != item.sha256:
                raise Failure(f"{item.filename} is not the file that pip resolved")
            cache.store.add(entry, path)
            entries[item.name] = entry
    return entries


def evaluated(
    library: Path, environment: Mapping[str, str], requires: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Split requirements by their markers into (always, {extra: those it adds}).

    Each is "name" or "name[extra,...]"; those whose marker is false are left out.
    """
    requirement = _requirement_class(library)
    always: set[str] = set()
    extras: dict[str, set[str]] = {}
    for text in requires:
        parsed = requirement(text)
        plain = canonical(parsed.name)
        if parsed.extras:
            plain += f"[{','.join(sorted(canonical(extra) for extra in parsed.extras))}]"
        if parsed.marker is None or parsed.marker.evaluate({**environment, "extra": ""}):
            always.add(plain)
            continue
        for extra in _extras_of(str(parsed.marker)):
            if parsed.marker.evaluate({**environment, "extra": extra}):
                extras.setdefault(canonical(extra), set()).add(plain)
    return sorted(always), {extra: sorted(names) for extra, names in sorted(extras.items())}


def _extras_of(marker: str) -> list[str]:
    """The names that a marker compares `extra` with."""
    found = re.findall(r"""extra\s*==\s*["']([^"']+)["']|["']([^"']+)["']\s*==\s*extra""", marker)
    return sorted({left or right for left, right in found})


def _requirement_class(library: Path) -> Any:
    """The class Requirement of the `packaging` that pip carries."""
    if str(library) not in sys.path:
        sys.path.insert(0, str(library))
    return importlib.import_module("pip._vendor.packaging.requirements").Requirement


def marker_environment(pip: Pip) -> dict[str, str]:
    """The marker variables of `pip.python`, without those of the running kernel."""
    done = subprocess.run(
        [pip.python, "-B", "-c", _PROBE], env=pip.env(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failure(f"{pip.python} cannot run pip:\n{done.stderr.strip()[-600:]}")
    values: dict[str, str] = json.loads(done.stdout)
    return values
