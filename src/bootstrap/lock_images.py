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
from bootstrap.changes import keep_option, print_changes
from bootstrap.declared import Image, images, shares
from bootstrap.interpreters import RELEASE_PYTHON, Interpreters
from bootstrap.lock_python import entry_data
from bootstrap.progress import say
from bootstrap.resolve import fetch_sizes, resolve
from releasekit.files import Entry
from releasekit.locks import read_tools_lock, write_lock

_ABOUT = "Distributions in images of sessions, by sha256. Renew: scripts/lock-images"

# Requirements, and what keeps its version -> all that is installed then.
Resolve = Callable[[Sequence[str], Mapping[str, Entry]], Mapping[str, Entry]]
Groups = Mapping[str, Mapping[str, Entry]]  # {image: {distribution: entry}}


def resolve_images(wanted: Sequence[Image], resolved: Resolve, old: Groups) -> Groups:
    """What each image adds to the one it is based on. What is in `old` keeps its version."""
    return shares(
        wanted,
        lambda image: image.distributions,
        lambda image, asked, below: resolved(asked, {**old.get(image.name, {}), **below}),
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
        description="Renew packaging/locks/images.lock: the newest version of every distribution that "
        "the images of sessions hold, for CPython 3.13 and manylinux_2_28. The roots are the "
        "distributions=[...] of packaging/images/*/BUILD. Needs debian.lock and tools.lock.",
    )
    keep_option(parser)
    given = parser.parse_args(argv)
    path = root / "packaging/locks/images.lock"
    cache = default_cache()
    old: Groups = {}
    if path.exists():
        old = {name: group.packages for name, group in read_tools_lock(path).groups.items()}
    with exclusive(cache):
        pip = Interpreters(cache, root).pip(RELEASE_PYTHON)

        def resolved(roots: Sequence[str], kept: Mapping[str, Entry]) -> Mapping[str, Entry]:
            say(f"Resolving {', '.join(roots)}")
            found = resolve(pip, RELEASE_PYTHON, roots, kept=kept)
            return fetch_sizes(cache, pip, list(found.values()), RELEASE_PYTHON)

        found = resolve_images(images(root), resolved, old if given.keep else {})
    write_lock(path, lock_data(found))
    print_changes(path, _flat(old), _flat(found))
    return 0


def _flat(groups: Groups) -> dict[str, Entry]:
    return {
        f"{image}: {name}": entry
        for image, found in groups.items()
        for name, entry in found.items()
    }
