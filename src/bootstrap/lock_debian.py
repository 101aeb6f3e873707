"""Renew `packaging/locks/debian.lock` from the signed indexes of Debian.

Which packages are wanted is a table below and what the BUILD files of servers and images name, of images
with all that it depends on; which version, path and sha256 comes from the newest of SUITE, SUITE-updates
and SUITE-security.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable

from bootstrap.apt import PrivateApt
from bootstrap.cache import default_cache, exclusive
from bootstrap.changes import finish, kept, what_to_renew
from bootstrap.debs import ensure_debs
from bootstrap.declared import Image, images, servers, shares
from bootstrap.mirrors import find_mirrors
from bootstrap.progress import say
from releasekit.errors import Failure
from releasekit.locks import Deb, image_set, read_debian_lock

_ABOUT = "Debian packages by sha256; paths are relative to a mirror. Renew: scripts/lock-debian"

# Everything the interpreter, its modules and the wheels' native modules are linked against, down
# to the C library. releasekit.runtime refuses to assemble a set that is not closed. gcc-N-base
# holds the licence of GCC's libraries.
_PYTHON_313 = """
    libc6 gcc-14-base libgcc-s1 libstdc++6 libexpat1 zlib1g libzstd1 libssl3t64
    openssl-provider-legacy libbz2-1.0 libffi8 liblzma5 libtinfo6 libncursesw6
    libreadline8t64 libsqlite3-0 libuuid1 libpython3.13-minimal libpython3.13-stdlib
    python3.13-minimal python3.13
"""
# The C library maps the modules that /etc/nsswitch.conf names. With its own copy of those that
# hosts commonly name (systemd's, sssd's), the private C library never maps one of the host's.
_NSS_313 = """
    libnss-systemd libnss-myhostname libnss-resolve libnss-mymachines libnss-sss libcap2
"""
# What Pants 2.17.1 needs to run, from the last Debian that has Python 3.9.
_PYTHON_39 = """
    libc6 gcc-10-base libgcc-s1 libstdc++6 libexpat1 zlib1g libssl1.1 libbz2-1.0 libffi7
    liblzma5 libtinfo6 libncursesw6 libreadline8 libsqlite3-0 libuuid1 libcrypt1 libmpdec3
    libpython3.9-minimal libpython3.9-stdlib python3.9-minimal python3.9 python3-distutils
"""
SETS: dict[str, list[str]] = {
    "python3.13": [f"trixie/{name}" for name in f"{_PYTHON_313} {_NSS_313}".split()],
    "python3.9": [f"bullseye/{name}" for name in _PYTHON_39.split()],
    # `python3.13 -m venv` with pip, which pex uses: for the Python that builds, not for hosts.
    "ensurepip": ["trixie/python3.13-venv", "trixie/python3-pip-whl"],
    "pip": ["trixie/python3-pip-whl"],
    # The wheel of Node.js leaves out the licences of what is linked into it; Debian states them.
    "node-licences": ["trixie/nodejs", "trixie/libssl3t64", "trixie/icu-devtools"],
    "testsuite": ["trixie/libpython3.13-testsuite"],
}
SERVERS_SUITE = "trixie"  # that of the runtime, whose libraries they use
IMAGES_SUITE = "trixie"

Sets = dict[str, list[str]]


def server_sets(root: Path) -> Sets:
    """What servers of ours are assembled from, as their BUILD files say: a set for each, by its name."""
    return {
        name: [f"{SERVERS_SUITE}/{package}" for package in packages]
        for name, packages in servers(root).items()
    }


def image_sets(wanted: Sequence[Image], closure: Callable[[Sequence[str]], list[str]]) -> Sets:
    """What images hold beyond those they are based on; `closure` gives what packages need, with them."""
    found = shares(
        wanted, lambda image: image.debian, lambda _, asked, __: dict.fromkeys(closure(asked))
    )
    return {
        image_set(image): [f"{IMAGES_SUITE}/{name}" for name in names]
        for image, names in found.items()
    }


def newest_entries(
    indexes: dict[str, dict[str, Deb]], sets: Sets, kept: Mapping[str, Deb] = MappingProxyType({})
) -> dict[str, Deb]:
    """The newest package for every key of the sets, or that of `kept`."""
    entries = {}
    for key in sorted({key for keys in sets.values() for key in keys}):
        suite, name = key.split("/", 1)
        if key in kept:
            entries[key] = kept[key]
            continue
        if name not in indexes[suite]:
            raise Failure(
                f"Debian {suite} has no package {name}",
                hint="correct the table in src/bootstrap/lock_debian.py, or `debian` in the BUILD file "
                "of a server or an image",
            )
        entries[key] = indexes[suite][name]
    return entries


def lock_data(entries: dict[str, Deb], sets: Sets) -> dict[str, Any]:
    """What is written to the lock file."""
    fields = ("version", "filename", "sha256", "size", "suite", "archive", "path", "source")
    return {
        "about": _ABOUT,
        "sets": {name: sorted(keys) for name, keys in sets.items()},
        "packages": {
            key: {field: getattr(deb, field) for field in fields} for key, deb in entries.items()
        },
    }


def main(root: Path, argv: list[str]) -> int:
    """Entry point of scripts/lock-debian; `root` is the checkout."""
    parser = argparse.ArgumentParser(
        prog="scripts/lock-debian",
        description="Renew packaging/locks/debian.lock: what is new at the newest version of Debian's "
        "signed archive, read with a private apt (no root) from this machine's mirror "
        "or BACKENDAI_DEBIAN_MIRROR. Fetches the files into the cache.",
    )
    what_to_renew(parser)
    given = parser.parse_args(argv)
    path = root / "packaging/locks/debian.lock"
    cache = default_cache()
    mirrors = find_mirrors()
    old = read_debian_lock(path).packages if path.exists() else {}
    indexes = {}
    sets = {**SETS, **server_sets(root)}
    with exclusive(cache):
        for suite in sorted({key.split("/")[0] for keys in sets.values() for key in keys}):
            say(f"Reading the signed index of Debian {suite}")
            apt = PrivateApt(suite, cache.root / "apt" / suite, mirrors)
            apt.update()
            indexes[suite] = apt.newest()
            if suite == IMAGES_SUITE:
                sets.update(image_sets(images(root), apt.closure))
        entries = newest_entries(indexes, sets, kept(given, old))
        ensure_debs(cache, entries, frozen=True)
    return finish(given, path, lock_data(entries, sets), old, entries)
