"""Root file systems of the throw-away hosts: built once with mmdebstrap, then kept.

Roots live under ``${XDG_CACHE_HOME:-~/.cache}/backendai-testhosts``, one folder per
recipe. The folder's name ends in a hash of all that decides its content, so a changed
recipe never meets a stale root, and a root is complete as soon as its name exists.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bootstrap.mirrors import find_mirrors

HERE = Path(__file__).resolve().parent
BUILD_TIMEOUT = 900  # seconds for one root; about 60 are normal
UNUSED_DAYS = 30
ATTEMPTS = 3  # mirrors drop connections

# What a host needs to boot systemd and to receive packages, and nothing else. There is no
# Python here on purpose: a package that forgets to bring its own must fail.
BASE = (
    "adduser",
    "ca-certificates",
    "dbus",
    "iproute2",
    "libpam-systemd",
    "procps",
    "systemd",
    "systemd-sysv",
)


class RootError(Exception):
    """A root could not be built; the text says why and what to do."""


@dataclass(frozen=True)
class Recipe:
    """What one root is made of. ``script`` turns the Debian tree into something else."""

    suite: str
    packages: tuple[str, ...] = BASE
    script: str | None = None
    version: int = 3  # raise it when mmdebstrap's options below change

    def key(self) -> str:
        """16 hex digits; equal for equal content of the recipe and its script."""
        text = (HERE / self.script).read_text() if self.script else ""
        facts = [self.version, self.suite, sorted(self.packages), text]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


RECIPES = {
    "trixie": Recipe("trixie"),
    "bookworm": Recipe("bookworm"),
    # dnf is written in Python, so the EL-like root has one (as a real EL has).
    "el9": Recipe("trixie", (*BASE, "dnf", "gnupg", "rpm"), script="mkelroot"),
    # systemd 247, older than any that a release is for. Its dpkg reads no package of ours, its rpm does.
    "bullseye": Recipe("bullseye", (*BASE, "rpm")),
    "ubuntu": Recipe("bookworm", (*BASE, "systemd-resolved"), script="mkubuntu"),
    # An NFS server in user space, and a client to ask it: this kernel may have neither.
    "trixie-nfs": Recipe("trixie", (*BASE, "libnfs-utils", "nfs-ganesha", "nfs-ganesha-vfs")),
    # Servers that are not ours, as others run them with Debian's packages, and what calls itself docker.
    "trixie-servers": Recipe(
        "trixie",
        (*BASE, "etcd-client", "etcd-server", "podman-docker", "postgresql", "valkey-server"),
    ),
    # A firewall that is not ours.
    "trixie-nftables": Recipe("trixie", (*BASE, "nftables")),
    # A container engine that is not ours.
    "trixie-docker": Recipe("trixie", (*BASE, "docker.io", "docker-cli")),
    # A virtual machine's: tests/vm makes a disk of it.
    "trixie-vm": Recipe(
        "trixie",
        (
            *(*BASE, "initramfs-tools", "kmod", "linux-image-cloud-amd64"),
            *("nfs-common", "nfs-kernel-server", "udev", "zstd"),
        ),
    ),
    # Tells every system call of what runs in it.
    "trixie-trace": Recipe("trixie", (*BASE, "strace")),
    # Machines on which somebody clones the repository; the second lacks most of Python's library.
    "trixie-builder": Recipe("trixie", (*BASE, "git", "python3")),
    "trixie-builder-minimal": Recipe("trixie", (*BASE, "git", "python3-minimal")),
}

# Releases that os-release alone tells from another on the same root: name -> that root, what it says.
RELEASES = {
    "ubuntu22": ("ubuntu", {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "22.04"}),
    "ubuntu24": ("ubuntu", {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "24.04"}),
    "el10": ("el9", {"ID": "eltest", "ID_LIKE": "rhel fedora", "VERSION_ID": "10"}),
}
OS_RELEASE = "/usr/lib/os-release"


def cache() -> Path:
    """The folder that holds the roots; made if it does not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "backendai-testhosts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def root(name: str) -> Path:
    """The root called ``name``, built now if it is not in the cache yet.

    Raises RootError if it cannot be built.
    """
    recipe = RECIPES[name]
    target = cache() / f"{name}-{recipe.key()}"
    with _locked(cache() / f"{name}.lock"):
        if not target.is_dir():
            _build(recipe, target)
        os.utime(target)
        _forget_unused(name, target)
    return target


def place(name: str) -> tuple[Path, dict[Path, str]]:
    """The root of the host called ``name``, and what lies over files of it: {file: path there}."""
    if name not in RELEASES:
        return root(name), {}
    base, facts = RELEASES[name]
    found = root(base)
    facts = {"PRETTY_NAME": f"{name}-like test root", **facts}
    over = cache() / f"{name}.os-release"
    over.write_text("".join(f'{key}="{value}"\n' for key, value in facts.items()))
    return found, {over: OS_RELEASE}


def _forget_unused(name: str, used: Path) -> None:
    """Remove roots of earlier recipes; another checkout may still use a recent one."""
    old = time.time() - UNUSED_DAYS * 86400
    for folder in used.parent.iterdir():
        root_name, _, key = folder.name.rpartition("-")
        if root_name == name and len(key) == 16 and folder.stat().st_mtime < old:
            shutil.rmtree(folder, ignore_errors=True)


def _build(recipe: Recipe, target: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    work.chmod(0o755)
    try:
        tree = work / "debian"
        _bootstrap(recipe, tree)
        if recipe.script:
            made = work / "made"
            _run([str(HERE / recipe.script), str(tree), str(made)])
            tree = made
        tree.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bootstrap(recipe: Recipe, tree: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _run(_mmdebstrap(recipe, tree))
            return
        except RootError:
            shutil.rmtree(tree, ignore_errors=True)
            if attempt == ATTEMPTS:
                raise


def _mmdebstrap(recipe: Recipe, tree: Path) -> list[str]:
    site = find_mirrors()
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    suite = recipe.suite
    settle = 'rm -f "$1"/etc/hostname "$1"/etc/resolv.conf; : >"$1"/etc/machine-id'
    # Hosts are thrown away: dpkg need not wait for the disk, which takes a quarter of its time.
    hasten = 'echo force-unsafe-io >"$1"/etc/dpkg/dpkg.cfg.d/testhost'
    # The finished root names no mirror, and its dpkg leaves no documentation out.
    forget = (
        'rm -rf "$1"/etc/apt/sources.list* "$1"/var/lib/apt/lists/*'
        ' "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/apt/apt.conf.d/99mmdebstrap'
    )
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(recipe.packages)}",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Retries "3"',
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f"--customize-hook={settle}",
        f"--customize-hook={hasten}",
        f"--customize-hook={forget}",
        suite,
        str(tree),
        f"deb {signed} {site.main} {suite} main",
        f"deb {signed} {site.main} {suite}-updates main",
        f"deb {signed} {site.security} {suite}-security main",
    ]


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise RootError(f"{argv[0]} took longer than {BUILD_TIMEOUT} s") from late
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise RootError(f"{argv[0]} exited {done.returncode}:\n{tail}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two test runs at once build a root once."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
