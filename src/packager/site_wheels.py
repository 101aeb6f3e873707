"""Wheels that no index has: files beside the BUILD file of a component, such as a site's own plugin.

They count as entries of python.lock whose file is in the checkout. What they require has to be there
at a version that they take: nothing is resolved, so that a build needs no network.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from email.message import Message
from email.parser import HeaderParser
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from releasekit.errors import Failure
from releasekit.locks import PLATFORMS, canonical

Entries = dict[str, dict[str, Any]]


def entries(wheels: Mapping[str, bytes], lock: Mapping[str, Any]) -> Entries:
    """An entry for each wheel, by its distribution's name: as those in `lock`, and its path `in_checkout`.

    `wheels`: {path in the checkout: content}. Failure names the wheel that does not fit, and why.
    """
    found: Entries = {}
    needs: dict[str, list[Requirement]] = {}
    python = lock.get("python", "")
    for path, content in sorted(wheels.items()):
        name, version = _named(path, python)
        if name in lock["packages"] or name in found:
            other = found[name]["in_checkout"] if name in found else "packaging/locks/python.lock"
            raise Failure(
                f"{path}: {name} is in {other}, too",
                hint="remove the wheel; a release holds each distribution once",
            )
        said = _metadata(path, content)
        _check_python(path, said.get("Requires-Python", ""), python)
        needs[path] = _requirements(path, said.get_all("Requires-Dist", []), python)
        found[name] = {
            "in_checkout": path,
            "filename": path.rsplit("/", 1)[1],
            "version": version,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "requires": sorted({_plain(need) for need in needs[path]}),
            "extras": {},
        }
    for path, wanted in needs.items():
        _check_versions(path, wanted, {**lock["packages"], **found})
    return found


def _named(path: str, python: str) -> tuple[str, str]:
    """Name and version in the file's name; Failure if hosts cannot use the wheel."""
    file = path.rsplit("/", 1)[1]
    try:
        name, version, _, tags = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise Failure(
            f"{path}: {error}", hint="give it the name with which it was built"
        ) from error
    if not tags & set(_tags(python)):
        raise Failure(
            f"{path}: hosts run CPython {python} on {PLATFORMS[0]}, which the wheel is not for",
            hint="build the plugin for these, or, if it is plain Python, as py3-none-any",
        )
    return canonical(name), str(version)


def _tags(python: str) -> Iterable[Tag]:
    """What a host can install."""
    version = tuple(int(part) for part in python.split("."))
    plain = f"cp{python.replace('.', '')}"
    yield from cpython_tags(version, abis=[plain], platforms=PLATFORMS)
    yield from compatible_tags(version, interpreter=plain, platforms=PLATFORMS)


def _metadata(path: str, content: bytes) -> Message:
    """The headers of METADATA."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            (inside,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
            return HeaderParser().parsestr(wheel.read(inside).decode("utf-8", "replace"))
    except (zipfile.BadZipFile, ValueError) as error:
        raise Failure(f"{path} is not a wheel: {error}", hint="build it anew") from error


def _check_python(path: str, said: str, python: str) -> None:
    try:
        fits = SpecifierSet(said).contains(f"{python}.0")
    except InvalidSpecifier as error:
        raise Failure(f"{path}: Requires-Python: {error}") from error
    if not fits:
        raise Failure(
            f"{path} requires Python {said}, the release has {python}",
            hint="build the plugin for this release",
        )


def _requirements(path: str, said: Iterable[str], python: str) -> list[Requirement]:
    """Those that apply on a host of the release, without those of extras."""
    found = []
    for text in said:
        try:
            need = Requirement(text)
        except InvalidRequirement as error:
            raise Failure(f"{path}: Requires-Dist: {text}: {error}") from error
        if need.marker is None or need.marker.evaluate(_environment(python)):
            found.append(need)
    return found


def _environment(python: str) -> dict[str, str]:
    """What markers read, as on a host."""
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def _plain(need: Requirement) -> str:
    """As a lock writes it."""
    extras = ",".join(sorted(canonical(extra) for extra in need.extras))
    return canonical(need.name) + (f"[{extras}]" if extras else "")


def _check_versions(path: str, needs: Iterable[Requirement], known: Mapping[str, Any]) -> None:
    for need in needs:
        name = canonical(need.name)
        if name not in known:
            raise Failure(
                f"{path} requires {name}, which the release does not have",
                hint=f"put the wheel of {name} beside it",
            )
        if need.url or set(need.extras) - {*known[name].get("extras", {})}:
            raise Failure(
                f"{path} requires {need}: an extra that the release does not have, or an address",
                hint="require what the extra stands for by its name",
            )
        version = known[name]["version"]
        if not need.specifier.contains(version, prereleases=True):
            raise Failure(
                f"{path} requires {name}{need.specifier}, the release has {version}",
                hint="build the plugin for this release",
            )
