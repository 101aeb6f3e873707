"""Reading and writing the lock files of `packaging/locks/`: JSON, sorted, free of host names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from releasekit.errors import Failure
from releasekit.files import Entry, write_atomic

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~@%!-]*")
SITE_WHEELS = "packaging/components/*/*.whl"  # beside the BUILD file of a plugin: of no index
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[([^\]]*)\])?")

# manylinux_2_28 and every older profile of x86_64, by which pip would also call itself: never
# the host's own, which may be newer than what the release promises.
PLATFORMS = tuple(
    f"{name}_x86_64"
    for name in (
        *(f"manylinux_2_{minor}" for minor in range(28, 4, -1)),
        "manylinux2014",
        "manylinux2010",
        "manylinux1",
    )
)


@dataclass(frozen=True)
class Wheel(Entry):
    """A locked distribution: requirements have their markers already evaluated."""

    requires: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sdist: Entry | None = None


@dataclass(frozen=True)
class Deb(Entry):
    """A locked Debian package; `path` is relative to the mirror's base of `archive`."""

    suite: str = ""
    archive: str = "main"
    path: str = ""
    source: str = ""


@dataclass(frozen=True)
class PythonLock:
    """`python.lock`: every distribution that ships, and wheels of which only files are taken."""

    python: str
    platform: str
    packages: Mapping[str, Wheel]
    unpacked: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class DebianLock:
    """`debian.lock`: named sets of keys `suite/package`, and the packages."""

    sets: Mapping[str, tuple[str, ...]]
    packages: Mapping[str, Deb]

    def of(self, name: str) -> dict[str, Deb]:
        """The packages of one set, by key."""
        if name not in self.sets:
            raise Failure(f"debian.lock: no set {name!r}", hint="run scripts/lock-debian")
        return {key: self.packages[key] for key in self.sets[name]}


@dataclass(frozen=True)
class ToolGroup:
    """Distributions that are installed together for one Python, e.g. "3.9"."""

    python: str
    packages: Mapping[str, Entry]


@dataclass(frozen=True)
class ToolsLock:
    """`tools.lock`: what builds and tests, and the pinned results of built tools."""

    groups: Mapping[str, ToolGroup]
    built: Mapping[str, Entry]

    def group(self, name: str) -> ToolGroup:
        """One group by name; Failure when there is none."""
        if name not in self.groups:
            known = ", ".join(sorted(self.groups))
            raise Failure(f"tools.lock: no group {name!r}", hint=f"known groups: {known}")
        return self.groups[name]


def image_set(name: str) -> str:
    """The set of debian.lock with what an image of sessions holds beyond the one it is based on."""
    return f"image-{name}"


def canonical(name: str) -> str:
    """The canonical form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_name(filename: str) -> str:
    """The canonical name of the distribution that a wheel's file name begins with."""
    return canonical(filename.partition("-")[0])


def split_requirement(text: str) -> tuple[str, tuple[str, ...]]:
    """`"uvicorn[standard]"` -> `("uvicorn", ("standard",))`, names canonical."""
    match = _REQUIREMENT.fullmatch(text.strip())
    if match is None:
        raise Failure(f"not a requirement of a lock: {text!r}", hint="run scripts/lock-python")
    extras = tuple(canonical(part) for part in (match.group(2) or "").split(",") if part.strip())
    return canonical(match.group(1)), extras


def read_python_lock(path: Path) -> PythonLock:
    """Read `python.lock`; Failure names the file, the package and the key at fault."""
    data = _load(path, "scripts/lock-python")
    packages = {}
    for name, raw in _table(data, "packages", path).items():
        where = f"{path}: packages.{name}"
        extras = {key: tuple(value) for key, value in raw.get("extras", {}).items()}
        sdist = raw.get("sdist")
        packages[name] = Wheel(
            **_entry(raw, where),
            requires=tuple(raw.get("requires", ())),
            extras=extras,
            sdist=None if sdist is None else _plain(sdist, f"{where}.sdist", raw["version"]),
        )
    unpacked = {
        name: _plain(raw, f"{path}: unpacked.{name}")
        for name, raw in data.get("unpacked", {}).items()
    }
    return PythonLock(
        str(data.get("python", "")), str(data.get("platform", "")), packages, unpacked
    )


def read_debian_lock(path: Path) -> DebianLock:
    """Read `debian.lock` and check that every set's packages are there."""
    data = _load(path, "scripts/lock-debian")
    packages = {}
    for key, raw in _table(data, "packages", path).items():
        where = f"{path}: packages.{key}"
        if raw.get("archive") not in ("main", "security"):
            raise Failure(f'{where}: key "archive" must be "main" or "security"')
        pool = str(raw.get("path", ""))
        if not pool.startswith("pool/") or ".." in pool:
            raise Failure(f'{where}: key "path" must start with pool/, it is {pool!r}')
        packages[key] = Deb(
            **_entry(raw, where),
            suite=raw["suite"],
            archive=raw["archive"],
            path=pool,
            source=raw.get("source", ""),
        )
    sets = {name: tuple(keys) for name, keys in _table(data, "sets", path).items()}
    for name, keys in sets.items():
        for key in keys:
            if key not in packages:
                raise Failure(f"{path}: sets.{name}: {key} has no entry in packages")
    return DebianLock(sets, packages)


def read_tools_lock(path: Path) -> ToolsLock:
    """Read `tools.lock`, or `images.lock`, which has groups alone."""
    data = _load(path, f"scripts/lock-{path.stem}")
    groups = {}
    for name, raw in _table(data, "groups", path).items():
        entries = {
            key: _plain(value, f"{path}: groups.{name}.packages.{key}")
            for key, value in raw["packages"].items()
        }
        groups[name] = ToolGroup(raw["python"], entries)
    built = {
        name: Entry(raw.get("version", ""), name, raw["sha256"], raw["size"])
        for name, raw in data.get("built", {}).items()
    }
    return ToolsLock(groups, built)


def write_lock(path: Path, data: Mapping[str, Any]) -> None:
    """Write a lock: keys in the order given at the top, sorted below, one value a line."""
    ordered = {key: _sorted(value) for key, value in data.items()}
    write_atomic(path, (json.dumps(ordered, indent=1, ensure_ascii=False) + "\n").encode())


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value


def _load(path: Path, renew: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(f"{path} is missing", hint=f"run {renew}") from None
    except ValueError as error:
        raise Failure(
            f"{path} is not JSON: {error}", hint=f"git checkout the file, or run {renew}"
        ) from None
    if not isinstance(data, dict):
        raise Failure(f"{path}: must hold a JSON object", hint=f"run {renew}")
    return data


def _table(data: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise Failure(f'{path}: key "{key}" must be an object')
    return value


def _entry(raw: Any, where: str, version: str = "") -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Failure(f"{where}: must be an object")
    values = {"version": version, **raw}
    wanted = (("version", str), ("filename", str), ("sha256", str), ("size", int))
    for key, kind in wanted:
        if not isinstance(values.get(key), kind):
            raise Failure(f'{where}: key "{key}" is missing or not of type {kind.__name__}')
    if not _SHA256.fullmatch(values["sha256"]):
        raise Failure(f'{where}: key "sha256" must be 64 hexadecimal digits')
    if not _FILENAME.fullmatch(values["filename"]):
        raise Failure(f'{where}: key "filename" is not a plain file name')
    return {key: values[key] for key, _ in wanted}


def _plain(raw: Any, where: str, version: str = "") -> Entry:
    return Entry(**_entry(raw, where, version))
