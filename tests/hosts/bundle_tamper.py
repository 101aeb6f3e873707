"""What somebody with access to a bundle could do to it; and how each tool of a host is asked about it."""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import bundles
from bundles import Bundle, Key
from host import Host, Result

CASES = "/cases"  # where hosts see the changed copies
PACKAGE = "backendai-runtime"  # depends on nothing: a refusal is never about dependencies
BY_RPM = {"_pkgverify_level": "all"}  # rpm alone asks for signatures only when it is told so
SOURCE = """\
Types: deb
URIs: file:{folder}/apt
Suites: stable
Components: main
Signed-By: {key}
"""
REPOSITORY = """\
[backendai]
name=Backend.AI
baseurl=file://{folder}/rpm
gpgcheck=1
repo_gpgcheck=1
skip_if_unavailable=0
gpgkey=file://{key}
"""


@dataclass(frozen=True)
class Shop:
    """`release` as published, `newer` by the same `key`; `stranger` is a key nobody trusts."""

    release: Bundle
    newer: Bundle
    key: Key
    stranger: Key


Change = Callable[[Shop, Path], object]


@dataclass(frozen=True)
class Row:
    """A change, and what the tools say of it: a regular expression each.

    A tool that is not named is not asked: what was changed is none of its business.
    """

    what: str
    change: Change
    says: dict[str, str] = field(default_factory=dict)
    told: bool = True  # verify.sh is given the published fingerprint
    seen: int = 0  # the newest release number that the host remembers


def hard_linked(source: Path, target: Path) -> Path:
    """A copy for the price of its names; whoever changes a file must put a new one in its place."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


# --- changes


def replace(file: Path, content: bytes) -> None:
    mode = file.stat().st_mode if file.exists() else 0o644
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    file.chmod(mode)


def flip(pattern: str, where: float = 0.5) -> Change:
    """Change one bit of every file that matches, at that share of its length."""

    def change(shop: Shop, root: Path) -> None:
        files = [file for file in root.glob(pattern) if file.is_file()]
        assert files, f"nothing is {pattern}"
        for file in files:
            content = bytearray(file.read_bytes())
            content[int(len(content) * where)] ^= 1
            replace(file, bytes(content))

    return change


def remove(pattern: str) -> Change:
    def change(shop: Shop, root: Path) -> None:
        for file in one_or_more(root, pattern):
            file.unlink()

    return change


def add(name: str) -> Change:
    def change(shop: Shop, root: Path) -> None:
        (root / name).write_bytes(b"not of this release\n")

    return change


def swap(*patterns: str) -> Change:
    """Put the files of the newer release, all signed by the trusted key, in the place of ours."""

    def change(shop: Shop, root: Path) -> None:
        for pattern in patterns:
            for file in one_or_more(root, pattern):
                replace(file, (shop.newer.folder / file.relative_to(root)).read_bytes())

    return change


def unlike(pattern: str, other: str) -> Change:
    """Put another package of the same publisher under the name of ours."""

    def change(shop: Shop, root: Path) -> None:
        (file,) = root.glob(pattern)
        (instead,) = shop.newer.folder.glob(other)
        replace(file, instead.read_bytes())

    return change


def one_or_more(root: Path, pattern: str) -> list[Path]:
    files = [file for file in root.glob(pattern) if file.is_file()]
    assert files, f"nothing is {pattern}"
    return files


def both(*changes: Change) -> Change:
    def change(shop: Shop, root: Path) -> None:
        for one in changes:
            one(shop, root)

    return change


def resigned_manifest(shop: Shop, root: Path) -> None:
    manifest = (root / "MANIFEST").read_bytes()
    replace(root / "MANIFEST.sig", shop.stranger.signer().detach(manifest, armor=False))


def resigned_all(shop: Shop, root: Path) -> None:
    """A whole release of the stranger's: keys, RELEASE and MANIFEST agree with each other."""
    resigned_repositories(shop, root)
    for file in (root / "keys").iterdir():
        file.unlink()
    bundles.resealed(Bundle(root, shop.key.fingerprint), shop.stranger)


def resigned_repositories(shop: Shop, root: Path) -> None:
    signer = shop.stranger.signer()
    suite, repodata = root / "apt/dists/stable", root / "rpm/repodata"
    release = (suite / "Release").read_bytes()
    replace(suite / "InRelease", signer.clearsign(release))
    replace(suite / "Release.gpg", signer.detach(release, armor=True))
    index = (repodata / "repomd.xml").read_bytes()
    replace(repodata / "repomd.xml.asc", signer.detach(index, armor=True))


def unsigned_rpm(shop: Shop, root: Path) -> None:
    (rpm,) = root.glob(f"rpm/packages/{PACKAGE}-*.rpm")
    _unsign(rpm)
    _index_rpms(shop, root)


def strangers_rpm(shop: Shop, root: Path) -> None:
    (rpm,) = root.glob(f"rpm/packages/{PACKAGE}-*.rpm")
    _unsign(rpm)
    shop.stranger.sign_rpm(rpm)
    _index_rpms(shop, root)


def _unsign(rpm: Path) -> None:
    replace(rpm, rpm.read_bytes())
    subprocess.run(["rpmsign", "--delsign", str(rpm)], check=True, capture_output=True, timeout=60)


def _index_rpms(shop: Shop, root: Path) -> None:
    """A new index that fits, signed by the trusted key: only the rpm itself is wrong."""
    shutil.rmtree(root / "rpm/repodata")
    call = ["createrepo_c", "--quiet", "--no-database", str(root / "rpm")]
    subprocess.run(call, check=True, capture_output=True, timeout=60)
    index = (root / "rpm/repodata/repomd.xml").read_bytes()
    signature = shop.key.signer().detach(index, armor=True)
    (root / "rpm/repodata/repomd.xml.asc").write_bytes(signature)


# --- tools


class Tools(ABC):
    """The tools of one host that could take the release; every attempt begins anew."""

    names: ClassVar[tuple[str, ...]]
    keyring: ClassVar[str]  # where the host keeps the key that it trusts

    def __init__(self, host: Host, release: Bundle) -> None:
        self.host, self.release = host, release
        for ending, target in self.keys().items():
            source = f"{CASES}/trusted.{ending}"
            host.check(["install", "-D", "-m", "644", source, target])

    def verify(self, row: Row, folder: str) -> tuple[Result, bool]:
        """verify.sh of the bundle: what it said, whether it found the bundle good."""
        seen = f"{bundles.STATE}/newest"
        if row.seen:
            self.host.write(seen, f"{row.seen}\n")
        call = [f"{folder}/verify.sh"]
        call += ["--fingerprint", self.release.fingerprint] if row.told else []
        try:
            result = self.host.run(call)
            return result, "Fine: this bundle is as it was released." in result.stdout
        finally:
            if row.seen:
                self.host.check(["rm", seen])

    @abstractmethod
    def keys(self) -> dict[str, str]:
        """Ending of a keyring of the bundle -> where the host has it."""

    @abstractmethod
    def ask(self, tool: str, folder: str) -> tuple[Result, bool]:
        """Let one of `names` install the package: what it said, whether the package is there."""


class Debian(Tools):
    """apt; its signatures are checked by sqv on Debian 13, by gpgv on Debian 12."""

    names = ("apt",)
    keyring = "/usr/share/keyrings/backendai-archive-keyring.gpg"

    def keys(self) -> dict[str, str]:
        return {"gpg": self.keyring}

    def ask(self, tool: str, folder: str) -> tuple[Result, bool]:
        text = SOURCE.format(folder=folder, key=self.keyring)
        self.host.write("/etc/apt/sources.list.d/backendai.sources", text)
        script = (
            "rm -rf /var/lib/apt/lists/*; apt-get update -q -o APT::Update::Error-Mode=any"
            f" && apt-get install -y -q {PACKAGE}"
        )
        result = self.host.run(["/bin/sh", "-c", script])
        there = self.host.run(["dpkg", "-s", PACKAGE]).returncode == 0
        if there:
            self.host.check(["dpkg", "--purge", PACKAGE])
        return result, there


class EnterpriseLinux(Tools):
    """dnf with gpgcheck and repo_gpgcheck; rpm with `%_pkgverify_level all`."""

    names = ("dnf", "rpm")
    keyring = "/usr/share/keyrings/backendai-archive-keyring.asc"

    def keys(self) -> dict[str, str]:
        return {"asc": self.keyring, "gpg": "/usr/share/keyrings/backendai-archive-keyring.gpg"}

    def __init__(self, host: Host, release: Bundle) -> None:
        super().__init__(host, release)
        host.check(["rpm", "--import", self.keyring])

    def ask(self, tool: str, folder: str) -> tuple[Result, bool]:
        if tool == "dnf":
            text = REPOSITORY.format(folder=folder, key=self.keyring)
            self.host.write("/etc/yum.repos.d/backendai.repo", text)
            script = f"rm -rf /var/cache/dnf; dnf -y --releasever=9 install {PACKAGE}"
        else:
            define = " ".join(f"--define '{key} {value}'" for key, value in BY_RPM.items())
            script = f"rpm -i {define} {folder}/rpm/packages/{PACKAGE}-*.rpm"
        result = self.host.run(["/bin/sh", "-c", script])
        there = self.host.run(["rpm", "-q", PACKAGE]).returncode == 0
        if there:
            self.host.check(["rpm", "-e", PACKAGE])
        return result, there
