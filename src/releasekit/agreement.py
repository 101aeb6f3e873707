"""Whether packaging/release.toml agrees with itself and with packaging/locks/python.lock.

A table of one version and a lock of another give packages that name a version they do not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from releasekit.errors import Failure
from releasekit.locks import canonical

TABLE = "packaging/release.toml"
LOCK = "packaging/locks/python.lock"
OWN = "backend-ai-"  # what Backend.AI's distributions are called
_SHOWN = 5


def check(table: Mapping[str, Any], lock: Mapping[str, Any]) -> None:
    """Failure with everything that disagrees, each with its key, and the cure."""
    found = [*_distributions(table, lock), *_python(table, lock)]
    cures = (
        ["run scripts/lock-python after a change of version, [inputs] or [python]"] if found else []
    )
    inside = [*_changelog(table), *_environment(table)]
    if inside:
        cures.append(
            f"mend {TABLE}: a release names its version in [release], [[changelog]] and [paths]"
        )
    if not cures:
        return
    named = f"{TABLE} and {LOCK} disagree" if found else f"{TABLE} disagrees with itself"
    lines = [f"  {line}" for line in (*found, *inside)]
    raise Failure("\n".join([named, *lines]), hint="; ".join(cures))


def _distributions(table: Mapping[str, Any], lock: Mapping[str, Any]) -> Iterator[str]:
    """Each follows the version of the release, or that of its line in [inputs]."""
    release = str(table["release"]["version"])
    inputs = {canonical(name): str(version) for name, version in table.get("inputs", {}).items()}
    locked = {
        name: str(entry["version"])
        for part in ("packages", "unpacked")
        for name, entry in lock.get(part, {}).items()
    }
    for name, version in sorted(inputs.items()):
        if name not in locked:
            yield f'[inputs] has {name} = "{version}", the lock has no such distribution'
        elif locked[name] != version:
            yield f'[inputs] has {name} = "{version}", the lock {locked[name]}'
    others = [
        f"{name} {version}"
        for name, version in sorted(locked.items())
        if name.startswith(OWN) and name not in inputs and version != release
    ]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield f'[release] has version = "{release}", the lock {", ".join(others[:_SHOWN])}{more}'


def _python(table: Mapping[str, Any], lock: Mapping[str, Any]) -> Iterator[str]:
    for key, locked in (("version", "python"), ("platform", "platform")):
        here, there = table["python"][key], lock.get(locked)
        if there is not None and here != there:
            yield f'[python] has {key} = "{here}", the lock "{there}"'


def _changelog(table: Mapping[str, Any]) -> Iterator[str]:
    """Its newest entry is this release: packages take their date and version from both."""
    entries = table.get("changelog") or [{}]
    for key in ("version", "revision", "date"):
        here, newest = table["release"][key], entries[0].get(key)
        if newest is not None and here != newest:
            yield f"[release] has {key} = {_shown(here)}, the first [[changelog]] {_shown(newest)}"


def _environment(table: Mapping[str, Any]) -> Iterator[str]:
    """Two releases must not share a folder: one is there while the other is unpacked."""
    version, folder = table["release"]["version"], table["paths"]["environment"]
    if folder.rpartition("/")[2] != version:
        yield f'[release] has version = "{version}", [paths] environment = "{folder}"'


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
