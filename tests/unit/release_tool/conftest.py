"""Small bundles with real packages' shapes, signed by a real gpg with a throw-away key."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from releasekit.tarball import pack

RELEASED, DAY = 1_793_404_800, 86_400  # 2026-10-31, in seconds since the epoch
ROOT = Path(__file__).resolve().parents[3]
MakeBundle = Callable[..., Path]
RunRelease = Callable[..., "subprocess.CompletedProcess[str]"]


class Gpg:
    """A key ring with one key."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        self("--passphrase", "", "--quick-generate-key", "test", "ed25519", "sign", "never")
        rows = self("--with-colons", "--list-keys").decode().splitlines()
        self.fingerprint = next(row.split(":")[9] for row in rows if row.startswith("fpr"))

    def __call__(self, *args: str, data: bytes = b"") -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *args]
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout

    def close(self) -> None:
        argv = ["gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent"]
        subprocess.run(argv, check=False)


@pytest.fixture(scope="session")
def gpgs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gpg, Gpg]]:
    """Our key, and that of somebody else."""
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed (apt install gnupg)")
    # Short: the path of a socket is limited.
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("g")))
    keys = Gpg(folder / "a"), Gpg(folder / "b")
    yield keys
    for key in keys:
        key.close()


def noise(seed: str, size: int) -> bytes:
    """Bytes that no packer makes smaller, the same for a seed."""
    out = b"".join(hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(size // 32 + 1))
    return out[:size]


def deb(files: Mapping[str, bytes], *, mtime: int, preset: int = 1) -> bytes:
    """A package like ours: data.tar.xz of one block."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), mtime
            tar.addfile(info, io.BytesIO(data))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": noise(f"control{mtime}", 301),
        "data.tar.xz": lzma.compress(raw.getvalue(), check=lzma.CHECK_CRC64, preset=preset),
    }
    whole = b"!<arch>\n"
    for name, data in members.items():
        whole += f"{name:<16}{mtime:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        whole += data + b"\n" * (len(data) % 2)
    return whole


def release_files(version: str, mtime: int) -> dict[str, bytes]:
    """Two of our packages and one of Debian's."""
    tree = {f"opt/{n}.py": f"{n} ".encode() * 900 + noise(f"f{n}", 700) for n in range(60)}
    tree["opt/changed.py"] = f"release {version}".encode()
    pool = "apt/pool/main/b"
    return {
        f"{pool}/backendai-client_{version}_amd64.deb": deb(tree, mtime=mtime),
        f"rpm/packages/backendai-client-{version}.x86_64.rpm": noise("rpm", 50_000)
        + version.encode()
        + noise("rpm2", 50_000),
        "apt/pool/main/e/etcd-server_3.5.16-4_amd64.deb": noise("etcd", 200_000),
        "install.sh": b"#!/bin/sh\n",
        "docs/SITE.md": noise("docs", 3_000).hex().encode(),
        "docs/empty": b"",
    }


def write_bundle(
    target: Path, version: str, number: int, files: Mapping[str, bytes], key: Gpg, keyring: bytes
) -> Path:
    """The tar of a bundle, as ./pants package makes it."""
    name = f"backendai-{version}-linux-amd64"
    facts = {
        "format": 1,
        "name": "backendai",
        "version": version,
        "number": number,
        "date": f"2026-11-{number:02}",
        "distribution": "linux",
        "architecture": "amd64",
        "key": "given",
        "fingerprint": key.fingerprint,
        "unpacked": sum(map(len, files.values())),
    }
    release = "".join(f"{word}={value}\n" for word, value in facts.items()).encode()
    held = {**files, "RELEASE": release, "keys/backendai-archive-keyring.gpg": keyring}
    rows = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(held.items())]
    held["MANIFEST"] = "".join(rows).encode()
    held["MANIFEST.sig"] = key("--detach-sign", "--output=-", data=held["MANIFEST"])
    path = target / f"{name}.tar"
    with tempfile.TemporaryDirectory() as folder:
        for inside, data in held.items():
            file = Path(folder, name, inside)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        pack(Path(folder), path, mtime=RELEASED + number * DAY)
    return path


@pytest.fixture
def make_bundle(gpgs: tuple[Gpg, Gpg], tmp_path: Path) -> MakeBundle:
    """make_bundle(version="26.9.6-1", number=1, changes={path: bytes or None}, other_key=False)."""

    def make(
        version: str = "26.9.6-1",
        number: int = 1,
        changes: Mapping[str, bytes | None] | None = None,
        other_key: bool = False,
        keep: str = "",
    ) -> Path:
        files = release_files(keep or version, 1_700_000_000 if keep else 1_700_000_000 + number)
        for path, data in (changes or {}).items():
            if data is None:
                del files[path]
            else:
                files[path] = data
        key = gpgs[1] if other_key else gpgs[0]
        return write_bundle(tmp_path, version, number, files, key, key("--export"))

    return make


@pytest.fixture
def run_release() -> RunRelease:
    """run_release("verify", path, ...): the command itself, on a plain Python, as a process."""

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        argv = [str(ROOT / "scripts/release"), *map(str, args)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120)

    return run


def flip(path: Path, at: int) -> None:
    """Turn one bit of one byte."""
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))
