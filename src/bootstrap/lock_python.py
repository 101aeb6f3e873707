"""Renew `packaging/locks/python.lock`: every distribution that ships, resolved by pip.

The roots are data: the `distributions=[...]` of packaging/components/*/BUILD, and what our own code
`imports=[...]` in packaging/*/BUILD. Of wheels named by `unpacked_wheel` there only files are taken:
they are locked without what they require. A wheel that lies beside a BUILD file (see
packager.site_wheels) is no entry of the lock: only what it requires is.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap.cache import Cache, default_cache, exclusive
from bootstrap.changes import finish, kept, what_to_renew
from bootstrap.interpreters import RELEASE_PYTHON, Interpreters
from bootstrap.pip import Pip
from bootstrap.progress import say
from bootstrap.resolve import Resolved, evaluated, fetch_sizes, marker_environment, resolve
from bootstrap.sdist import BuiltSdist, build_sdist_only
from releasekit.agreement import OWN
from releasekit.closure import closure
from releasekit.errors import Failure
from releasekit.files import Entry
from releasekit.locks import (
    SITE_WHEELS,
    PythonLock,
    Wheel,
    canonical,
    read_python_lock,
    read_tools_lock,
    split_requirement,
    wheel_name,
)

_ABOUT = "Distributions that ship, by sha256. Renew: scripts/lock-python"
_PLATFORM = "manylinux_2_28_x86_64"


def component_roots(root: Path) -> list[str]:
    """The requirements of all components, "name==version", sorted.

    A bare name is taken at its version in [inputs] of release.toml, else at the release's.
    """
    path = root / "packaging/release.toml"
    release = _release_table(path, "release").get("version")
    if not release:
        raise Failure(f"{path}: table [release] has no version", hint='add version = "26.9.6"')
    pins = {canonical(name): version for name, version in _release_table(path, "inputs").items()}
    roots = set()
    beside = site_wheels(root)
    for build in sorted((root / "packaging/components").glob("*/BUILD")):
        for text in _strings(build, "distributions"):
            name, _, version = text.partition("==")
            plain = split_requirement(name)[0]
            if plain not in beside:
                roots.add(f"{name}=={version or pins.get(plain, release)}")
    if not roots:
        raise Failure(
            f"{root}/packaging/components/*/BUILD name no distributions",
            hint='give a component distributions=["..."]',
        )
    return sorted({*roots, *own_imports(root)})


def site_wheels(root: Path) -> dict[str, Path]:
    """Wheels beside the BUILD files of components, by the name of their distribution."""
    return {wheel_name(path.name): path for path in sorted(root.glob(SITE_WHEELS))}


def own_imports(root: Path) -> set[str]:
    """Distributions of others that our own Python imports, as its BUILD files say."""
    return {text for path in _own_builds(root) for text in _strings(path, "imports")}


def unpacked_roots(root: Path) -> list[str]:
    """Wheels of which only files are taken, "name==version", at the release's version."""
    release = _release_table(root / "packaging/release.toml", "release")["version"]
    names = {text for path in _own_builds(root) for text in _strings(path, "unpacked_wheel")}
    return [f"{name}=={release}" for name in sorted(names)]


def _own_builds(root: Path) -> list[Path]:
    return sorted((root / "packaging").glob("*/BUILD"))


def _strings(path: Path, field: str) -> list[str]:
    """What the keyword `field` of a BUILD file names: a string or a list of them."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise Failure(f"{path}:{error.lineno}: not valid BUILD syntax: {error.msg}") from None
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == field:
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                value = None
            value = [value] if isinstance(value, str) else value
            if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
                raise Failure(f"{path}: {field} must be a plain list of strings")
            found.extend(value)
    return found


def _release_table(path: Path, name: str) -> dict[str, str]:
    """The strings of one table of release.toml, by lines: CPython 3.9 has no TOML module."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    table = re.search(rf"^\[{name}\][^\n]*\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    if table is None:
        return {}
    return dict(
        re.findall(r"""^["']?([\w.-]+)["']?\s*=\s*["']([^"'\n]+)["']""", table[1], re.MULTILINE)
    )


def lock_packages(
    resolved: Mapping[str, Resolved],
    entries: Mapping[str, Entry],
    sdists: Mapping[str, BuiltSdist],
    library: Path,
    environment: Mapping[str, str],
) -> dict[str, Wheel]:
    """The lock's packages."""
    packages = {}
    for name, item in resolved.items():
        requires, extras = evaluated(library, environment, item.requires)
        built = sdists.get(name)
        entry = built.wheel if built else entries[name]
        packages[name] = Wheel(
            **vars(entry),
            requires=tuple(requires),
            extras={extra: tuple(names) for extra, names in extras.items()},
            sdist=built.sdist if built else None,
        )
    return _without_absent(packages)


def _without_absent(packages: Mapping[str, Wheel]) -> dict[str, Wheel]:
    """Drop extras that name distributions outside the lock: nobody asked for them."""
    kept = {}
    for name, wheel in packages.items():
        extras = {
            extra: names
            for extra, names in wheel.extras.items()
            if all(split_requirement(text)[0] in packages for text in names)
        }
        kept[name] = Wheel(**{**vars(wheel), "extras": extras})
    return kept


def lock_data(
    packages: Mapping[str, Wheel], unpacked: Mapping[str, Entry] | None = None
) -> dict[str, Any]:
    """What is written to the lock file."""
    return {
        "about": _ABOUT,
        "python": RELEASE_PYTHON,
        "platform": _PLATFORM,
        "packages": {name: entry_data(wheel) for name, wheel in packages.items()},
        "unpacked": {name: vars(entry) for name, entry in (unpacked or {}).items()},
    }


def entry_data(entry: Entry) -> dict[str, Any]:
    """An entry as a lock holds it."""
    raw: dict[str, Any] = {
        key: getattr(entry, key) for key in ("version", "filename", "sha256", "size")
    }
    if isinstance(entry, Wheel):
        raw["requires"] = list(entry.requires)
        raw["extras"] = {extra: list(names) for extra, names in entry.extras.items()}
        if sdist := entry.sdist:
            raw["sdist"] = {"filename": sdist.filename, "sha256": sdist.sha256, "size": sdist.size}
    return raw


def main(root: Path, argv: list[str]) -> int:
    """Entry point of scripts/lock-python; `root` is the checkout."""
    parser = argparse.ArgumentParser(
        prog="scripts/lock-python",
        description="Renew packaging/locks/python.lock, of what the components need: what is new at the "
        "newest allowed version for CPython 3.13 and manylinux_2_28. The roots are the "
        "distributions=[...] of packaging/components/*/BUILD; a bare name is taken at the "
        "version of packaging/release.toml. Needs debian.lock and tools.lock.",
    )
    what_to_renew(parser)
    given = parser.parse_args(argv)
    path = root / "packaging/locks/python.lock"
    roots = component_roots(root)
    cache = default_cache()
    before = read_python_lock(path) if path.exists() else PythonLock("", "", {})
    old = {**before.packages, **before.unpacked}
    build = read_tools_lock(root / "packaging/locks/tools.lock").group("build").packages
    with exclusive(cache):
        pythons = Interpreters(cache, root)
        pip = pythons.pip(RELEASE_PYTHON)
        sdists = build_sdist_only(cache, pip, build)
        say(f"Resolving {len(roots)} roots (about half a minute)")
        stay = kept(given, before.packages)
        beside = site_wheels(root)
        wanted = [*roots, *(str(path) for path in beside.values())]
        resolved = resolve(
            pip, RELEASE_PYTHON, wanted, *_find_links(cache, sdists), kept=of_others(stay)
        )
        environment = marker_environment(pip)
        for name in beside:
            needs, _ = evaluated(pip.library, environment, resolved.pop(name).requires)
            roots += [need for need in needs if split_requirement(need)[0] not in beside]
        for name, built in sdists.items():
            if name in resolved and resolved[name].version != built.wheel.version:
                raise Failure(f"{name}: pip chose {resolved[name].version}, not the built wheel")
        plain = [item for name, item in resolved.items() if name not in sdists]
        entries = fetch_sizes(cache, pip, plain, RELEASE_PYTHON)
        packages = lock_packages(resolved, entries, sdists, pip.library, environment)
        needed = only_needed(packages, [text.partition("==")[0] for text in roots])
        unpacked = lock_unpacked(root, cache, pip)
    return finish(given, path, lock_data(needed, unpacked), old, {**needed, **unpacked})


def of_others(packages: Mapping[str, Wheel]) -> dict[str, Wheel]:
    """All but Backend.AI's own, whose versions are in release.toml."""
    return {name: wheel for name, wheel in packages.items() if not name.startswith(OWN)}


def lock_unpacked(root: Path, cache: Cache, pip: Pip) -> dict[str, Entry]:
    """The entries of the wheels of which only files are taken."""
    found = resolve(pip, RELEASE_PYTHON, unpacked_roots(root), "--no-deps")
    return fetch_sizes(cache, pip, list(found.values()), RELEASE_PYTHON)


def only_needed(packages: Mapping[str, Wheel], roots: Sequence[str]) -> dict[str, Wheel]:
    """Without what was resolved for an extra that nobody asked for."""
    raw = {
        name: {"requires": wheel.requires, "extras": wheel.extras}
        for name, wheel in packages.items()
    }
    names = closure(raw, roots, wanted_by="packaging/components")
    return {name: packages[name] for name in sorted(names)}


def _find_links(cache: Cache, sdists: Mapping[str, BuiltSdist]) -> list[str]:
    return [f"--find-links={cache.store.path(built.wheel).parent}" for built in sdists.values()]
