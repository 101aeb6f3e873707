"""Renew `packaging/locks/images.lock`: the distributions in the images of sessions, resolved by pip.

The roots are data: the `distributions=[...]` of packaging/images/*/BUILD. An image that is based on
another takes the versions of that one, and is locked with what it adds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from bootstrap.cache import default_cache, exclusive
from bootstrap.changes import finish, kept, what_to_renew
from bootstrap.declared import Image, images, shares
from bootstrap.interpreters import RELEASE_PYTHON, Interpreters
from bootstrap.lock_python import entry_data
from bootstrap.progress import say
from bootstrap.resolve import fetch_sizes, resolve
from releasekit.files import Entry
from releasekit.locks import read_tools_lock

_ABOUT = "Distributions in images of sessions, by sha256. Renew: scripts/lock-images"

# Requirements, and what keeps its version -> all that is installed then.
# Of these roots, with versions that stay if they can, and those of the image below.
Resolve = Callable[[Sequence[str], Mapping[str, Entry], Mapping[str, Entry]], Mapping[str, Entry]]
Groups = Mapping[str, Mapping[str, Entry]]  # {image: {distribution: entry}}


def resolve_images(wanted: Sequence[Image], resolved: Resolve, old: Groups) -> Groups:
    """What each image adds to the one it is based on, whose versions it has.

    What is in `old` keeps its version if nothing needs another.
    """
    return shares(
        wanted,
        lambda image: image.distributions,
        lambda image, asked, below: resolved(asked, old.get(image.name, {}), below),
    )


def lock_data(found: Groups) -> dict[str, Any]:
    """What is written to the lock file: groups as in tools.lock, by the name of the image."""
    return {
        "about": _ABOUT,
        "groups": {
            image: {
                "python": RELEASE_PYTHON,
                "packages": {name: entry_data(entry) for name, entry in entries.items()},
            }
            for image, entries in found.items()
        },
    }


def main(root: Path, argv: list[str]) -> int:
    """Entry point of scripts/lock-images; `root` is the checkout."""
    parser = argparse.ArgumentParser(
        prog="scripts/lock-images",
        description="Renew packaging/locks/images.lock, of distributions that the images of sessions hold: "
        "what is new at its newest version for CPython 3.13 and manylinux_2_28. The roots are the "
        "distributions=[...] of packaging/images/*/BUILD. Needs debian.lock and tools.lock.",
    )
    what_to_renew(parser)
    given = parser.parse_args(argv)
    path = root / "packaging/locks/images.lock"
    cache = default_cache()
    old: Groups = {}
    if path.exists():
        old = {name: group.packages for name, group in read_tools_lock(path).groups.items()}
    every = kept(given, {name: 1 for group in old.values() for name in group})
    stay = {image: {n: e for n, e in group.items() if n in every} for image, group in old.items()}
    with exclusive(cache):
        pip = Interpreters(cache, root).pip(RELEASE_PYTHON)

        def resolved(
            roots: Sequence[str], stay: Mapping[str, Entry], below: Mapping[str, Entry]
        ) -> Mapping[str, Entry]:
            say(f"Resolving {', '.join(roots)}")
            found = resolve(pip, RELEASE_PYTHON, roots, kept=stay, held=below)
            return fetch_sizes(cache, pip, list(found.values()), RELEASE_PYTHON)

        found = resolve_images(images(root), resolved, stay)
    return finish(given, path, lock_data(found), _flat(old), _flat(found))


def _flat(groups: Groups) -> dict[str, Entry]:
    return {
        f"{image}: {name}": entry
        for image, found in groups.items()
        for name, entry in found.items()
    }
