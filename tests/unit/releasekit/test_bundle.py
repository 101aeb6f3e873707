"""Promises of the bundle: one signed list of every file, one folder, the same bytes each time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from releasekit.bundle import BundleSpec, complete, files_of
from releasekit.errors import Failure
from releasekit.tarball import pack

ACCOUNT = "bai:1100:1100:/var/lib/backendai"
ACCOUNTS = "backendai-etcd:/var/lib/backendai/etcd backendai-valkey:/var/lib/backendai/valkey"
SPEC = BundleSpec(
    *("26.9.6-1", 7, "2026-11-23", "linux", "amd64"),
    mtime=1_764_000_000,
    account=ACCOUNT,
    own_accounts=ACCOUNTS,
)
FINGERPRINT = "ab" * 20


class Plain:
    """Signs by hashing: what is signed can be seen."""

    def detach(self, data: bytes, *, armor: bool) -> bytes:
        assert not armor
        return hashlib.sha256(data).digest()

    def public_key(self, *, armor: bool) -> bytes:
        return b"armored\n" if armor else b"\x99binary"


def parts(root: Path) -> Path:
    for name, text in {
        "apt/pool/main/a_1.0+b~c-1_amd64.deb": "deb",
        "install.sh": "#!/bin/sh\n",
        "README": "read",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "install.sh").chmod(0o755)
    return root


def made(root: Path) -> Path:
    complete(parts(root), SPEC, Plain(), kind="local", fingerprint=FINGERPRINT)
    return root


def test_release_says_what_it_is(tmp_path: Path) -> None:
    lines = (made(tmp_path) / "RELEASE").read_text().splitlines()
    rows = dict(line.split("=") for line in lines)
    others = [p for n, p in files_of(tmp_path).items() if n not in NOT_COUNTED]
    assert rows == {
        "format": "1",
        "name": "backendai",
        "version": "26.9.6-1",
        "number": "7",
        "date": "2026-11-23",
        "distribution": "linux",
        "architecture": "amd64",
        "account": ACCOUNT,
        "own_accounts": ACCOUNTS,
        "key": "local",
        "fingerprint": FINGERPRINT.upper(),
        "unpacked": str(sum(path.stat().st_size for path in others)),
    }


NOT_COUNTED = ("RELEASE", "MANIFEST", "MANIFEST.sig")


def test_manifest_is_what_sha256sum_reads_and_covers_everything(tmp_path: Path) -> None:
    root = made(tmp_path)
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "MANIFEST"], cwd=root, check=True)
    listed = [line[66:] for line in (root / "MANIFEST").read_text().splitlines()]
    assert listed == sorted(listed)
    assert {*listed, "MANIFEST", "MANIFEST.sig"} == set(files_of(root))
    manifest = (root / "MANIFEST").read_bytes()
    assert (root / "MANIFEST.sig").read_bytes() == hashlib.sha256(manifest).digest()


def test_the_tar_depends_on_contents_alone(tmp_path: Path) -> None:
    tars = []
    for name, mask in (("one", 0o022), ("two", 0o077)):
        before = os.umask(mask)
        try:
            made(tmp_path / name / SPEC.name)
        finally:
            os.umask(before)
        pack(tmp_path / name, tmp_path / f"{name}.tar", mtime=SPEC.mtime)
        tars.append((tmp_path / f"{name}.tar").read_bytes())
    assert tars[0] == tars[1]
    with tarfile.open(tmp_path / "one.tar") as tar:
        entries = tar.getmembers()
    assert {entry.name.split("/")[0] for entry in entries} == {"backendai-26.9.6-1-linux-amd64"}
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(0, 0, SPEC.mtime)}
    modes = {entry.name.rsplit("/", 1)[1]: entry.mode for entry in entries if entry.isfile()}
    assert (modes["install.sh"], modes["README"]) == (0o755, 0o644)


@pytest.mark.parametrize("name", ["a b", "-a", ".hidden", "new\nline", "\u00fc", "a\\b", "$(x)"])
def test_a_name_that_a_shell_could_misread_is_refused(name: str, tmp_path: Path) -> None:
    (parts(tmp_path) / name).write_text("x")
    with pytest.raises(Failure, match="cannot be in a bundle"):
        made(tmp_path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    (parts(tmp_path) / "link").symlink_to("README")
    with pytest.raises(Failure, match="link cannot be in a bundle"):
        made(tmp_path)


def test_a_part_cannot_bring_the_manifest(tmp_path: Path) -> None:
    (parts(tmp_path) / "MANIFEST").write_text("")
    with pytest.raises(Failure, match="MANIFEST is among the parts"):
        made(tmp_path)
