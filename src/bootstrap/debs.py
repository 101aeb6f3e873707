"""Locked Debian packages: from the cache, a vendor folder, the mirror, or (loudly) a successor.

Debian's mirrors drop superseded versions. When a locked package is gone everywhere, the newest
of the same suite is taken from the signed index, the user is warned, and the fact is recorded
in the cache as `drift/LOCKED_SHA256.json` (the release manifest names it). `frozen` refuses.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Callable

from bootstrap.apt import PrivateApt
from bootstrap.cache import Cache, vendor_dir
from bootstrap.download import Gone, fetch_url
from bootstrap.mirrors import Mirrors, apt_proxies, find_mirrors
from bootstrap.progress import Progress, at_once, warn_loudly
from releasekit.errors import Failure
from releasekit.files import Entry, Store, sha256_of, write_atomic
from releasekit.locks import Deb

_AT_ONCE = 4
Newest = Callable[[str], dict[str, Deb]]


def from_vendor(store: Store, entry: Entry) -> bool:
    """Take a file from $BACKENDAI_VENDOR when it is there with the locked sha256."""
    vendor = vendor_dir()
    if vendor is None:
        return False
    for path in (vendor / entry.filename, vendor / entry.sha256 / entry.filename):
        if path.is_file() and sha256_of(path) == entry.sha256:
            store.add(entry, path)
            return True
    return False


def used_debs(cache: Cache, debs: Mapping[str, Deb]) -> dict[str, Deb]:
    """What stands in for each locked package: itself, or its recorded successor."""
    used = {}
    for key, deb in debs.items():
        successor = None if cache.store.has(deb) else _recorded(cache, deb)
        used[key] = successor or deb
    return used


def ensure_debs(
    cache: Cache, debs: Mapping[str, Deb], *, frozen: bool, newest: Newest | None = None
) -> dict[str, Deb]:
    """Bring every package into the store; return what is used for each key (see `used_debs`).

    `newest` gives the newest packages of a suite; tests replace the private apt by it.
    """
    store = cache.store
    used: dict[str, Deb] = {}
    missing: dict[str, Deb] = {}
    for key, deb in debs.items():
        if store.has(deb) or from_vendor(store, deb):
            used[key] = deb
            continue
        successor = _recorded(cache, deb)
        if successor is not None and not frozen and store.has(successor):
            used[key] = successor
        else:
            missing[key] = deb
    if not missing:
        return used
    mirrors, proxies = find_mirrors(), apt_proxies()
    gone = _fetch_all(cache, missing, mirrors, proxies)
    if gone:
        if frozen:
            raise Failure(_names("left the mirror", gone), hint=_FROZEN_HINT)
        finder = newest or (lambda suite: _index(cache, suite, mirrors))
        used.update(_successors(cache, gone, finder, mirrors, proxies))
    used.update({key: deb for key, deb in missing.items() if key not in gone})
    return used


_FROZEN_HINT = (
    "--frozen accepts the locked files only: put them into BACKENDAI_VENDOR, "
    "or run scripts/lock-debian and commit the new lock"
)


def _names(what: str, debs: Mapping[str, Deb]) -> str:
    files = [f"{key} {deb.version}" for key, deb in sorted(debs.items())]
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return f"locked Debian packages {what}: {', '.join(files[:5])}{more}"


def _fetch_all(
    cache: Cache, debs: Mapping[str, Deb], mirrors: Mirrors, proxies: Mapping[str, str]
) -> dict[str, Deb]:
    """Fetch all; return those that the mirror no longer has."""
    progress = Progress("Debian packages", len(debs), sum(deb.size for deb in debs.values()))
    gone: dict[str, Deb] = {}
    cache.tmp.mkdir(parents=True, exist_ok=True)
    broken = threading.Event()

    def one(key: str) -> None:
        if broken.is_set():
            return
        deb = debs[key]
        with tempfile.TemporaryDirectory(prefix="deb-", dir=cache.tmp) as folder:
            part = Path(folder) / deb.filename
            try:
                fetch_url(mirrors.url(deb.archive, deb.path), part, proxies=proxies)
            except Gone:
                gone[key] = deb
                return
            except BaseException:
                broken.set()
                raise
            cache.store.add(deb, part)
        progress.add(1, deb.size)

    at_once(_AT_ONCE, one, sorted(debs), progress)
    return gone


def _index(cache: Cache, suite: str, mirrors: Mirrors) -> dict[str, Deb]:
    apt = PrivateApt(suite, cache.root / "apt" / suite, mirrors)
    apt.update()
    return apt.newest()


def _successors(
    cache: Cache,
    gone: Mapping[str, Deb],
    newest: Newest,
    mirrors: Mirrors,
    proxies: Mapping[str, str],
) -> dict[str, Deb]:
    """Take the newest of the same suite for each package that is gone, and record it."""
    indexes = {suite: newest(suite) for suite in sorted({deb.suite for deb in gone.values()})}
    found: dict[str, Deb] = {}
    for key, deb in gone.items():
        successor = indexes[deb.suite].get(key.split("/", 1)[1])
        if successor is None or successor.sha256 == deb.sha256:
            raise Failure(
                f"{key} {deb.version} has left the mirror, and Debian {deb.suite} has no other",
                hint="put the file into BACKENDAI_VENDOR, or try another BACKENDAI_DEBIAN_MIRROR",
            )
        found[key] = successor
    lost = _fetch_all(
        cache,
        {key: deb for key, deb in found.items() if not cache.store.has(deb)},
        mirrors,
        proxies,
    )
    if lost:
        raise Failure(
            _names("are in the mirror's index but not on it", lost),
            hint="the mirror is being renewed: try again later, or another BACKENDAI_DEBIAN_MIRROR",
        )
    lines: list[str] = ["DRIFT: locked Debian packages have left the mirror. Their successors from"]
    lines.append("the signed index are used; this build is not the locked one:")
    for key, successor in sorted(found.items()):
        record = {"locked": asdict(gone[key]), "used": asdict(successor)}
        path = cache.drift / f"{gone[key].sha256}.json"
        write_atomic(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
        lines.append(f"  {key}: {gone[key].version} -> {successor.version}")
    lines.append("Run scripts/lock-debian and commit, or build with --frozen to refuse this.")
    warn_loudly(lines)
    return found


def _recorded(cache: Cache, deb: Deb) -> Deb | None:
    """The successor that an earlier set-up took, None when there is none."""
    try:
        record = json.loads((cache.drift / f"{deb.sha256}.json").read_text(encoding="utf-8"))
        return Deb(**record["used"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
