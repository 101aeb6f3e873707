"""Which distributions a component needs, and which package owns each of them.

Works on the `packages` table of packaging/locks/python.lock, whose `requires` and `extras` were
evaluated for the one platform of the release, so no marker is left to interpret here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from releasekit.errors import Failure
from releasekit.locks import split_requirement

Packages = Mapping[str, Mapping[str, Any]]

LOCK = "packaging/locks/python.lock"


def closure(packages: Packages, roots: Iterable[str], *, wanted_by: str) -> frozenset[str]:
    """Names of all distributions that `roots` need, themselves included.

    Raises Failure when a root is not in the lock (`wanted_by` is named) or the lock has a hole.
    """
    seen: dict[str, set[str]] = {}
    queue: list[tuple[str, tuple[str, ...], str]] = []
    for root in roots:
        name, extras = split_requirement(root)
        queue.append((name, extras, wanted_by))
    while queue:
        name, extras, parent = queue.pop()
        if name not in packages:
            raise Failure(
                f"{LOCK}: no entry for the distribution `{name}`, which {parent} asks for",
                hint="check the spelling in `distributions`, or renew the lock with scripts/lock-python",
            )
        known = seen.get(name)
        fresh = set(extras) - (known or set())
        if known is not None and not fresh:
            continue
        seen.setdefault(name, set()).update(extras)
        entry = packages[name]
        needs = list(entry.get("requires", ())) if known is None else []
        for extra in sorted(fresh):
            needs += entry.get("extras", {}).get(extra, ())
        queue += [(*split_requirement(need), name) for need in needs]
    return frozenset(seen)


@dataclass(frozen=True)
class Ownership:
    """Who owns what: `owned` maps a package to its distributions, `requires` to other packages."""

    owned: Mapping[str, tuple[str, ...]]
    requires: Mapping[str, tuple[str, ...]]


def assign(packages: Packages, components: Mapping[str, Iterable[str]], common: str) -> Ownership:
    """Give every distribution exactly one owner.

    `components` maps a package to the distributions it is made of. A component builds on another when
    it needs all of that one's own distributions; what only one component (and those that build on it)
    needs belongs to it, the rest to the package `common`. All names are package names.
    """
    roots = {
        pkg: frozenset(split_requirement(d)[0] for d in dists) for pkg, dists in components.items()
    }
    needs = {
        pkg: closure(packages, dists, wanted_by=f"the component {pkg}")
        for pkg, dists in sorted(components.items())
    }
    below = {
        pkg: frozenset(
            other
            for other in needs
            if other != pkg
            and roots[other] < needs[pkg]
            and roots[other] != roots[pkg]
            and needs[other] < needs[pkg]
        )
        for pkg in needs
    }
    owned: dict[str, list[str]] = {pkg: [] for pkg in [common, *needs]}
    for dist in sorted(frozenset().union(*needs.values()) if needs else ()):
        users = {pkg for pkg in needs if dist in needs[pkg]}
        first = [pkg for pkg in users if not below[pkg] & users]
        owned[first[0] if len(first) == 1 else common].append(dist)
    owner_of = {dist: pkg for pkg, dists in owned.items() for dist in dists}
    requires = {
        pkg: tuple(sorted({owner_of[dist] for dist in needs[pkg]} - {pkg})) for pkg in sorted(needs)
    }
    return Ownership(
        owned={pkg: tuple(sorted(dists)) for pkg, dists in sorted(owned.items())},
        requires={common: (), **requires},
    )
