"""The few distributions published as source only: built into wheels, the same bytes anywhere."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.cache import Cache
from bootstrap.debs import from_vendor
from bootstrap.environment import clean_env
from bootstrap.pip import Pip
from bootstrap.progress import say
from releasekit.errors import Failure
from releasekit.files import Entry, remove_tree, sha256_of
from releasekit.locks import Wheel

# Distributions without a wheel on the index. scripts/lock-python builds these first.
SDIST_ONLY = ("pytest-dependency", "temporenc")
_BUILD = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date a zip archive can hold


@dataclass(frozen=True)
class BuiltSdist:
    """A source archive and the wheel built from it."""

    sdist: Entry
    wheel: Entry


def build_sdist_only(cache: Cache, pip: Pip, build: Mapping[str, Entry]) -> dict[str, BuiltSdist]:
    """Fetch and build the newest of every distribution of SDIST_ONLY (for the lock script)."""
    found = {}
    for name in SDIST_ONLY:
        say(f"Building the wheel of {name} from its source archive")
        with _scratch(cache) as scratch:
            folder = Path(scratch)
            path = _download(cache, pip, build, name, folder, pip.published_only())
            version = path.name[: -len(".tar.gz")].rsplit("-", 1)[1]
            sdist = Entry(version, path.name, sha256_of(path), path.stat().st_size)
            cache.store.add(sdist, path)
            wheel_path = _build(cache, pip.python, build, path, folder)
            wheel = Entry(
                version, wheel_path.name, sha256_of(wheel_path), wheel_path.stat().st_size
            )
            cache.store.add(wheel, wheel_path)
            found[name] = BuiltSdist(sdist, wheel)
    return found


def ensure_sdists(
    cache: Cache, pip: Pip, packages: Mapping[str, Wheel], build: Mapping[str, Entry]
) -> None:
    """Build the locked wheel of every package that has an sdist. `pip.python` must be 3.13."""
    for name, wheel in packages.items():
        sdist = wheel.sdist
        if sdist is None or cache.store.has(wheel) or from_vendor(cache.store, wheel):
            continue
        with _scratch(cache) as scratch:
            folder = Path(scratch)
            if not (cache.store.has(sdist) or from_vendor(cache.store, sdist)):
                requirement = f"{name}=={wheel.version} --hash=sha256:{sdist.sha256}"
                cache.store.add(sdist, _download(cache, pip, build, requirement, folder, {}))
            built = _build(cache, pip.python, build, cache.store.path(sdist), folder)
            if sha256_of(built) != wheel.sha256:
                raise Failure(
                    f"{built.name} built from {sdist.filename} has sha256 {sha256_of(built)}, "
                    f"python.lock says {wheel.sha256}",
                    hint="setuptools or wheel changed since it was locked: run scripts/lock-python",
                )
            cache.store.add(wheel, built)


def _scratch(cache: Cache) -> tempfile.TemporaryDirectory[str]:
    cache.tmp.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="sdist-", dir=cache.tmp)


def _backend(cache: Cache, build: Mapping[str, Entry], folder: Path) -> Path:
    """setuptools and wheel of the lock, unpacked: an importable folder."""
    target = folder / "backend"
    if not target.exists():
        for name in ("setuptools", "wheel", "packaging"):
            with zipfile.ZipFile(cache.store.path(build[name])) as archive:
                archive.extractall(target)
    return target


def _download(
    cache: Cache,
    pip: Pip,
    build: Mapping[str, Entry],
    requirement: str,
    folder: Path,
    env: Mapping[str, str],
) -> Path:
    """Fetch one source archive. pip asks the (hash-checked) source for its metadata on the way."""
    name = requirement.split("=")[0].strip()
    arrived = folder / "arrived"
    arrived.mkdir()
    (folder / "requirements.txt").write_text(f"{requirement}\n")
    backend = _backend(cache, build, folder)
    done = pip.run(
        "download",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
        f"--no-binary={name}",
        "--no-build-isolation",
        f"--dest={arrived}",
        f"--requirement={folder / 'requirements.txt'}",
        env={**env, "PYTHONPATH": f"{pip.library}:{backend}"},
    )
    files = sorted(arrived.glob("*.tar.gz"))
    if done.returncode != 0 or len(files) != 1:
        raise Failure(
            f"pip could not fetch the source of {name}:\n{done.stderr.strip()[-800:]}",
            hint="check the network and pip's configuration, or put the built wheel or the "
            "source archive into BACKENDAI_VENDOR",
        )
    return files[0]


def _build(
    cache: Cache, python: str, build: Mapping[str, Entry], sdist: Path, folder: Path
) -> Path:
    """Build the wheel of a source archive and bring it into a fixed form."""
    source, out = folder / "source", folder / "out"
    remove_tree(source)
    out.mkdir(exist_ok=True)
    with tarfile.open(sdist) as archive:
        _extract_source(archive, source)
    (top,) = source.iterdir()
    env = clean_env(
        {
            "PYTHONPATH": str(_backend(cache, build, folder)),
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "315532800",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
    )
    argv = [python, "-B", "-c", _BUILD, str(out)]
    mask = os.umask(0o022)
    try:
        done = subprocess.run(argv, env=env, cwd=top, capture_output=True, text=True, check=False)
    finally:
        os.umask(mask)
    wheels = sorted(out.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise Failure(f"building {sdist.name} failed:\n{done.stderr.strip()[-800:]}")
    return _normalised(wheels[0], folder)


def _extract_source(archive: tarfile.TarFile, target: Path) -> None:
    """Plain files only, none outside `target`: enough for a source archive."""
    for info in archive:
        parts = Path(info.name).parts
        if not info.isreg():
            continue
        if ".." in parts or info.name.startswith("/"):
            raise Failure(f"source archive: {info.name!r} leaves the archive's root")
        path = target.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = archive.extractfile(info)
        path.write_bytes(b"" if stream is None else stream.read())
        path.chmod(0o755 if info.mode & 0o111 else 0o644)


def _normalised(wheel: Path, folder: Path) -> Path:
    """The wheel again with sorted, uncompressed, undated entries: no zlib, no clock, no order."""
    target = folder / "normal" / wheel.name
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        names = [name for name in old.namelist() if not name.endswith("/")]
        for name in sorted(names, key=lambda name: (name.endswith("/RECORD"), name)):
            data = old.read(name)
            if name.endswith(".dist-info/RECORD"):
                lines: list[bytes] = sorted(data.splitlines())
                data = b"\n".join(lines) + b"\n"
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            new.writestr(info, data)
    return target
