"""The index is tried by apt itself, with its default, strict options."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
from signing_keys import RELEASED, ThrowAwayKey

from releasekit.apt_repository import AptSpec, build, packages_text, stanza
from releasekit.errors import Failure
from releasekit.signing import Signer


def make_deb(folder: Path, name: str, version: str = "1.0-1", arch: str = "amd64") -> Path:
    """A real package by dpkg-deb."""
    tree = folder / f"tree-{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: M <m@example.org>\n"
        "Conffiles:\n /etc/x 1\nDescription: first line\n second\n .\n third\n"
    )
    deb = folder / f"{name}_{version.split(':')[-1]}_{arch}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(deb)]
    subprocess.run(argv, check=True, capture_output=True)
    return deb


@pytest.fixture
def repository(tmp_path: Path, throw_away: ThrowAwayKey) -> Path:
    """A signed repository of two packages."""
    top = tmp_path / "repository"
    pool = top / "pool"
    pool.mkdir(parents=True)
    debs = [make_deb(pool, "b"), make_deb(pool, "a", "1:2.0", "all")]
    build(spec_of(debs, top), Signer.from_environment(throw_away.environment()))
    (tmp_path / "key.gpg").write_bytes(throw_away.public())
    return top


def spec_of(debs: list[Path], top: Path) -> AptSpec:
    places = {str(deb): f"pool/{deb.name}" for deb in debs}
    return AptSpec(places, str(top), "stable", "Ours", "Ours packaged", "1-1", RELEASED)


def apt(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """apt-get of this machine in a root of its own, where only our source is known."""
    root = tmp_path / "apt"
    for folder in ("etc/apt", "lib/lists/partial", "cache/archives/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    source = f"deb [signed-by={tmp_path}/key.gpg] file:{tmp_path}/repository stable main\n"
    (root / "etc/apt/sources.list").write_text(source)
    options = {
        "Dir::Etc": f"{root}/etc/apt",
        "Dir::State": f"{root}/lib",
        "Dir::State::status": f"{root}/status",
        "Dir::Cache": f"{root}/cache",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    flags = [f"-o{key}={value}" for key, value in options.items()]
    argv = ["apt-get", *flags, *args]
    return subprocess.run(
        argv, cwd=tmp_path, capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )


needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt")


@needs_apt
def test_apt_accepts_the_index_and_fetches_by_it(tmp_path: Path, repository: Path) -> None:
    update = apt(tmp_path, "update", "--error-on=any")
    assert update.returncode == 0 and not update.stderr, update.stdout + update.stderr
    fetched = apt(tmp_path, "download", "a", "b")
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "b_1.0-1_amd64.deb").read_bytes() == (
        repository / "pool/b_1.0-1_amd64.deb"
    ).read_bytes()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@needs_apt
def test_apt_refuses_what_was_changed_after_signing(tmp_path: Path, repository: Path) -> None:
    release = repository / "dists/stable"
    flip(release / "InRelease")
    (release / "Release").unlink()
    assert apt(tmp_path, "update", "--error-on=any").returncode != 0


@needs_apt
def test_apt_refuses_an_index_or_a_package_that_is_not_the_signed_one(
    tmp_path: Path, repository: Path
) -> None:
    assert apt(tmp_path, "update", "--error-on=any").returncode == 0
    (repository / "pool/b_1.0-1_amd64.deb").write_bytes(b"other")
    assert apt(tmp_path, "download", "b").returncode != 0
    shutil.rmtree(tmp_path / "apt")
    for file in (repository / "dists/stable/main").rglob("*"):
        if file.is_file():
            flip(file)
    assert apt(tmp_path, "update", "--error-on=any").returncode != 0


def test_the_index_is_the_same_bytes_each_time(
    tmp_path: Path, repository: Path, throw_away: ThrowAwayKey
) -> None:
    debs = sorted((repository / "pool").glob("*.deb"), reverse=True)
    signer = Signer.from_environment(throw_away.environment())
    again = build(spec_of(debs, tmp_path / "again"), signer)
    first = repository / "dists/stable"
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_every_index_file_is_found_by_its_hash(repository: Path) -> None:
    folder = repository / "dists/stable/main/binary-amd64"
    plain, packed = (folder / name for name in ("Packages", "Packages.xz"))
    assert lzma.decompress(packed.read_bytes()) == plain.read_bytes()
    for file in (plain, packed):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert (folder / "by-hash/SHA256" / digest).read_bytes() == file.read_bytes()
        assert digest in (repository / "dists/stable/Release").read_text()


def test_a_stanza_keeps_the_control_file_and_its_continued_lines() -> None:
    fields = {"Package": "x", "Size": "forged", "Description": "one\ntwo\n.\nthree"}
    assert stanza(fields, "pool/x.deb", 5, "00") == (
        "Package: x\nFilename: pool/x.deb\nSize: 5\nSHA256: 00\n"
        "Description: one\n two\n .\n three\n"
    )


def test_one_package_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    debs = {str(make_deb(tmp_path, "a")): "pool/1", str(make_deb(tmp_path / "1", "a")): "pool/2"}
    with pytest.raises(Failure, match=r"a 1.0-1 amd64 is in the repository twice"):
        packages_text(debs)
