"""The Debian packages that the release carries: what its roots need beyond each base.

apt's own solver decides, once a base: what it would install there with the roots, less what the base
has. Recommended packages are left out. A host may be older than the archive: where a package of the
closure wants an update of one that the base has, that update is carried too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.apt import PrivateApt
from bootstrap.roots import bases, roots

Control = Mapping[str, Mapping[str, str]]

_RELATION = re.compile(r"([a-z0-9][a-z0-9+.-]+)(?::\w+)?\s*\((<<|<=|=|>=|>>)\s*([^)]+)\)")
# A version that a stable update made: a host installed before it has an older one.
_UPDATE = re.compile(r"[+~]deb\d+u\d+")


@dataclass(frozen=True)
class Closure:
    """`names` of all packages; `facts` is what the lock keeps of it for reports."""

    names: tuple[str, ...]
    facts: dict[str, Any]


def resolve(apt: PrivateApt, root: Path) -> Closure:
    """Resolve the closure for the checkout `root`. The index of `apt` must have been read."""
    wanted = roots(root)
    present: dict[str, frozenset[str]] = {}
    lacks: dict[str, frozenset[str]] = {}
    about = {}
    for base in bases(root):
        present[base.name] = apt.would_install(base.packages)
        lacks[base.name] = apt.would_install([*base.packages, *wanted]) - present[base.name]
        about[base.name] = base.about
    everything = frozenset().union(*lacks.values(), *present.values())
    control = apt.control(everything)
    updates = {
        name: lockstep(lacks[name], present[name], control) - lacks[name] for name in present
    }
    names = sorted(frozenset().union(*lacks.values(), *updates.values()))
    return Closure(
        tuple(names),
        {
            "roots": wanted,
            "bases": {
                name: {
                    "about": about[name],
                    "packages": len(present[name]),
                    "lacks": sorted(lacks[name]),
                    "updates": sorted(updates[name]),
                }
                for name in about
            },
            "installed": {
                name: int(control[name].get("Installed-Size", 0)) * 1024 for name in names
            },
        },
    )


def lockstep(closure: Iterable[str], base: frozenset[str], control: Control) -> frozenset[str]:
    """Packages of the base that must be updated with the closure.

    A package of the closure names them with an exact version, or with one that a stable update made;
    or they name with an exact version one that is updated.
    """
    needs = {name: list(_strict(control[name])) for name in {*closure, *base}}
    exactly: dict[str, set[str]] = {}
    for name in base:
        for other, relation in needs[name]:
            if relation == "=":
                exactly.setdefault(other, set()).add(name)
    found: set[str] = set()
    queue = list(closure)
    while queue:
        name = queue.pop()
        moved = {other for other, _ in needs[name] if other in base} | exactly.get(name, set())
        queue += moved - found
        found |= moved
    return frozenset(found)


def _strict(fields: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """(package, relation) of what a package needs in no older version than the archive's."""
    said = ", ".join(fields.get(key, "") for key in ("Pre-Depends", "Depends"))
    for name, relation, version in _RELATION.findall(said):
        if relation == "=" or (relation in (">=", ">>") and _UPDATE.search(version)):
            yield name, relation
