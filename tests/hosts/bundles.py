"""Bundles to install from: the real one of dist/, and small ones made of a few of its packages.

A small bundle has the scripts and the layout of the real one, real packages, repositories signed by
a throw-away key, and what releasekit.bundle adds; its repositories are made by other programs
(apt-ftparchive, createrepo_c), so that install.sh is not only held against ours.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import artefacts
import tomllib
from scenario import REPOSITORY

from releasekit import bundle
from releasekit.signing import Signer

MEDIUM = "/medium"  # where hosts see the bundle
STATE = "/var/lib/backendai/bundles"
ORIGIN = "Backend.AI"
SUITE = "stable"
MAKE_TIMEOUT = 300  # seconds
RELEASED = 1_767_225_600  # the time of signatures: 2026-01-01
LATER = "--faked-system-time=20260401T000000!"
BORN = "--faked-system-time=20260101T000000!"  # of keys; releases are made after that
SCRIPTS = ("README", "*.sh", "lib/*.sh")
LIGHT = ("runtime",)  # 16 MB, needs nothing
SMALL = (
    *("runtime", "common", "ctl", "client", "nfs", "nftables"),
    *("node-exporter", "storage-proxy", "storage-node"),
)


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle: `folder` is the one folder of the tar, `name` its name."""

    folder: Path
    fingerprint: str

    @property
    def name(self) -> str:
        return self.folder.name


class Key:
    """A throw-away signing key in a folder below `folder`. `stop` ends its agent and removes it."""

    def __init__(
        self, folder: Path, user: str = "Throw-away <throw@away.invalid>", expires: str = "never"
    ) -> None:
        # A short name: the agent's socket is in it, and its path may have 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="k", dir=folder))
        self._gpg("--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", expires)
        self.fingerprint = self.using = self._fingerprints()[0]

    def signer(self, *others: Key, public: bytes = b"") -> Signer:
        """Signs with this key; hosts shall trust the keys of `others` too. `public`: these instead."""
        public = public or b"".join(key.public() for key in (self, *others))
        gpg = shutil.which("gpg") or "gpg"
        # Not from_environment: by today's clock a key that has expired cannot sign.
        return Signer(gpg, str(self.home), self.fingerprint, "local", public, RELEASED, self.using)

    def public(self) -> bytes:
        return self._gpg("--export")

    def revoked(self) -> bytes:
        """The public key as it is published after it was replaced by another (reason 2)."""
        with self._copy() as copy:
            words = ("--command-fd=0", "--no-tty", "--gen-revoke", self.fingerprint)
            copy._gpg("--import", data=copy._gpg(*words, data=b"y\n2\n\ny\n", at=LATER))
            return copy.public()

    def add_subkey(self) -> None:
        """Another key below it, which signs in its place from now on."""
        words = ("--quick-add-key", self.fingerprint, "ed25519", "sign", "never")
        self._gpg("--passphrase", "", *words)
        self.using = self._fingerprints()[-1]

    def _fingerprints(self) -> list[str]:
        """Of the key, then of those below it."""
        listing = self._gpg("--with-colons", "--list-keys").decode().splitlines()
        return [row.split(":")[9] for row in listing if row.startswith("fpr")]

    def with_subkey_revoked(self) -> bytes:
        """The public key as it is published after its subkey was replaced by another (reason 2)."""
        with self._copy() as copy:
            words = ("--command-fd=0", "--no-tty", "--edit-key", self.fingerprint)
            copy._gpg(*words, data=b"key 1\nrevkey\ny\n2\n\ny\nsave\n", at=LATER)
            return copy.public()

    @contextmanager
    def _copy(self) -> Iterator[Key]:
        """The same key in a folder of its own: what happens to it there does not happen to this one."""
        other = object.__new__(Key)
        other.home = Path(tempfile.mkdtemp(prefix="k", dir=self.home.parent))
        other.fingerprint = self.fingerprint
        other._gpg("--import", data=self._gpg("--export-secret-keys"))
        try:
            yield other
        finally:
            other.stop()

    def sign_rpm(self, rpm: Path) -> None:
        # fmt: off
        argv = [
            "rpmsign", "--addsign", "--define", "__gpg /usr/bin/gpg",
            "--define", f"_gpg_name {self.fingerprint}", str(rpm),
        ]
        # fmt: on
        environment = {**os.environ, "GNUPGHOME": str(self.home)}
        subprocess.run(
            argv, env=environment, capture_output=True, timeout=MAKE_TIMEOUT, check=False
        )

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def _gpg(self, *words: str, data: bytes = b"", at: str = BORN) -> bytes:
        batch = [] if "--command-fd=0" in words else ["--batch"]
        argv = ["gpg", "--homedir", str(self.home), *batch, "--quiet", at, *words]
        done = subprocess.run(
            argv, input=data, check=True, capture_output=True, timeout=MAKE_TIMEOUT
        )
        return done.stdout


def make(
    folder: Path,
    dist: artefacts.Dist,
    key: Key,
    *,
    packages: Sequence[str] = SMALL,
    debian: Sequence[Path] = (),
    number: int = 1,
    revision: str = "",
    version: str = "",
    extra: Mapping[str, str] | None = None,
    rpms: bool = False,
    trusted: Sequence[Key] = (),
) -> Bundle:
    """A bundle below `folder` with these packages of ours. `extra`: path in it -> text."""
    release = tomllib.loads((REPOSITORY / "packaging/release.toml").read_text("utf-8"))["release"]
    spec = bundle.BundleSpec(
        version=version or f"{release['version']}-{revision or release['revision']}",
        number=number,
        date=release["date"][:10],
        distribution="linux",
        architecture="amd64",
        account="bai:1100:1100:/var/lib/backendai",
        own_accounts="backendai-valkey:/var/lib/backendai/valkey",
        mtime=0,
    )
    root, signer = folder / spec.name, key.signer(*trusted)
    source = REPOSITORY / "packaging/bundle"
    for script in (path for pattern in SCRIPTS for path in source.glob(pattern)):
        target = root / script.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(script, target)
    shutil.copy(REPOSITORY / "src/backendai_ctl/bundle/signer.sh", root / "lib/signer.sh")
    for name, text in (extra or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    wanted = tuple(f"backendai-{name}" for name in packages)
    debs = [deb for deb in dist.debs if deb.name.split("_")[0] in wanted]
    _apt(root / "apt", [*debs, *debian], signer)
    ours = [rpm for rpm in dist.rpms if rpm.name.rsplit("-", 2)[0] in wanted] if rpms else []
    _rpm(root / "rpm", ours, key, signer)
    bundle.complete(root, spec, signer, kind=signer.kind, fingerprint=signer.fingerprint)
    return Bundle(root, key.fingerprint)


def resealed(made: Bundle, key: Key, public: bytes = b"", **facts: object) -> Bundle:
    """The same folder with a new RELEASE, MANIFEST and signature: what a holder of `key` could publish.

    `public`: the keys that it brings, instead of that one.
    """
    rows = dict(line.split("=", 1) for line in (made.folder / "RELEASE").read_text().splitlines())
    for name in ("RELEASE", "MANIFEST", "MANIFEST.sig"):
        (made.folder / name).unlink()
    known = {field.name for field in dataclasses.fields(bundle.BundleSpec)}
    spec: dict[str, Any] = {**{k: v for k, v in rows.items() if k in known}, "mtime": 0, **facts}
    signer = key.signer(public=public)
    bundle.complete(
        made.folder,
        bundle.BundleSpec(**spec),
        signer,
        kind=signer.kind,
        fingerprint=signer.fingerprint,
    )
    return Bundle(made.folder, key.fingerprint)


def copy(made: Bundle, folder: Path) -> Bundle:
    """A copy that may be changed."""
    shutil.copytree(made.folder, folder / made.name)
    return Bundle(folder / made.name, made.fingerprint)


def _apt(root: Path, debs: Sequence[Path], signer: Signer) -> None:
    pool, index = root / "pool/main", root / f"dists/{SUITE}/main/binary-amd64"
    for folder in (pool, index):
        folder.mkdir(parents=True)
    for deb in debs:
        artefacts.place(deb, pool / deb.name)
    packages = _out(["apt-ftparchive", "packages", "pool/main"], root)
    (index / "Packages").write_bytes(packages)
    facts = {
        "Origin": ORIGIN,
        "Suite": SUITE,
        "Codename": SUITE,
        "Architectures": "amd64",
        "Components": "main",
    }
    options = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in facts.items()]
    release = _out(["apt-ftparchive", *options, "release", f"dists/{SUITE}"], root)
    top = root / "dists" / SUITE
    (top / "Release").write_bytes(release)
    (top / "InRelease").write_bytes(signer.clearsign(release))
    (top / "Release.gpg").write_bytes(signer.detach(release, armor=True))


def _rpm(root: Path, rpms: Sequence[Path], key: Key, signer: Signer) -> None:
    (root / "packages").mkdir(parents=True)
    for rpm in rpms:
        shutil.copy(rpm, root / "packages" / rpm.name)
        key.sign_rpm(root / "packages" / rpm.name)
    _out(["createrepo_c", "--quiet", "--no-database", str(root)])
    index = (root / "repodata/repomd.xml").read_bytes()
    (root / "repodata/repomd.xml.asc").write_bytes(signer.detach(index, armor=True))


def _out(argv: Sequence[str], folder: Path | None = None) -> bytes:
    return subprocess.run(
        argv, cwd=folder, check=True, capture_output=True, timeout=MAKE_TIMEOUT
    ).stdout
