"""Signed rpms and their repository are tried by rpm and dnf themselves."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from signing_keys import RELEASED, ThrowAwayKey, throw_away_key

from releasekit import rpm_repository, rpm_sign
from releasekit.errors import Failure
from releasekit.rpm_repository import RpmSpec
from releasekit.rpm_sign import SignSpec
from releasekit.signing import Signer

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="no rpm on this machine")

SPEC = """\
Name: {name}
Version: 1.0
Release: 1
Summary: a test & more
License: MIT
BuildArch: noarch
%description
For a test.
%install
mkdir -p %{{buildroot}}/usr/share
echo {name} > %{{buildroot}}/usr/share/{name}
%files
/usr/share/{name}
"""


def run(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **more}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env)


def make_rpm(folder: Path, name: str) -> Path:
    """A real package by rpmbuild."""
    top = folder / f"build-{name}"
    top.mkdir()
    (top / "x.spec").write_text(SPEC.format(name=name))
    done = run("rpmbuild", "-bb", f"--define=_topdir {top}", f"{top}/x.spec", HOME=str(top))
    assert done.returncode == 0, done.stderr
    return next(top.glob("RPMS/*/*.rpm"))


def database(folder: Path, key: ThrowAwayKey) -> str:
    """A database of rpm's that trusts the key; as an option."""
    option = f"--dbpath={folder}/rpmdb-{key.fingerprint[-8:]}"
    (folder / "key.asc").write_bytes(key.gpg("--armor", "--export", key.fingerprint))
    assert run("rpmkeys", option, "--import", f"{folder}/key.asc").returncode == 0
    return option


def sign(rpm: Path, output: Path, key: ThrowAwayKey) -> Path:
    signer = Signer.from_environment(key.environment())
    return rpm_sign.build(SignSpec(str(rpm), str(output)), signer)


@pytest.mark.parametrize("algorithm", ["ed25519", "RSA\nKey-Length: 2048"])
def test_rpm_accepts_the_signature_of_the_header(tmp_path: Path, algorithm: str) -> None:
    rpm = make_rpm(tmp_path, "a")
    with throw_away_key(algorithm=algorithm) as key:
        signed = sign(rpm, tmp_path / "signed.rpm", key)
        said = run("rpmkeys", database(tmp_path, key), "-Kv", str(signed))
        again = sign(signed, tmp_path / "again.rpm", key)
    assert said.returncode == 0, said.stdout
    assert "SHA512 Signature" in said.stdout and "NOT" not in said.stdout
    assert again.read_bytes() == signed.read_bytes()
    listed = run("rpm", "-qp", "--qf", "%{NAME} %{DESCRIPTION} [%{FILENAMES}]", str(signed))
    assert listed.stdout == "a For a test. /usr/share/a"


def test_rpm_refuses_a_changed_byte_anywhere(tmp_path: Path, throw_away: ThrowAwayKey) -> None:
    signed = sign(make_rpm(tmp_path, "a"), tmp_path / "signed.rpm", throw_away)
    option = database(tmp_path, throw_away)
    whole = signed.read_bytes()
    header = len(rpm_sign.parse(signed).payload)
    for at in (len(whole) - header - 40, len(whole) - header + 40, len(whole) - 40):
        data = bytearray(whole)
        data[at] ^= 1
        signed.write_bytes(data)
        assert run("rpmkeys", option, "-K", str(signed)).returncode != 0, at


def test_rpm_refuses_the_signature_of_another_key(tmp_path: Path, throw_away: ThrowAwayKey) -> None:
    with throw_away_key() as other:
        signed = sign(make_rpm(tmp_path, "a"), tmp_path / "signed.rpm", other)
    said = run("rpmkeys", database(tmp_path, throw_away), "-K", str(signed))
    assert said.returncode != 0 and "NOT OK" in said.stdout


def test_what_is_no_rpm_is_refused(tmp_path: Path, throw_away: ThrowAwayKey) -> None:
    rpm = make_rpm(tmp_path, "a")
    text = tmp_path / "text"
    text.write_text("text")
    with pytest.raises(Failure, match="is not an rpm"):
        rpm_sign.parse(text)
    text.write_bytes(rpm.read_bytes()[:400])
    with pytest.raises(Failure, match="damaged"):
        rpm_sign.parse(text)


@pytest.fixture
def repository(tmp_path: Path, throw_away: ThrowAwayKey) -> Path:
    top = tmp_path / "repository"
    names = ("b", "a")
    rpms = [sign(make_rpm(tmp_path, n), top / f"packages/{n}.rpm", throw_away) for n in names]
    index(rpms, top, throw_away)
    (tmp_path / "key.asc").write_bytes(throw_away.gpg("--armor", "--export"))
    return top


def index(rpms: list[Path], top: Path, key: ThrowAwayKey) -> Path:
    places = {str(rpm): f"packages/{rpm.name}" for rpm in rpms}
    signer = Signer.from_environment(key.environment())
    return rpm_repository.build(RpmSpec(places, str(top), RELEASED), signer)


def dnf(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """dnf of this machine on an empty root, where only our repository is known."""
    repos = tmp_path / "repos"
    repos.mkdir(exist_ok=True)
    (repos / "ours.repo").write_text(
        f"[ours]\nname=ours\nbaseurl=file://{tmp_path}/repository\nenabled=1\ngpgcheck=1\n"
        f"repo_gpgcheck=1\nskip_if_unavailable=0\ngpgkey=file://{tmp_path}/key.asc\n"
    )
    options = [f"--installroot={tmp_path}/root", "--releasever=9", f"--setopt=reposdir={repos}"]
    options += [f"--setopt=cachedir={tmp_path}/cache", "--assumeyes"]
    return run("dnf", *options, *args, HOME=str(tmp_path))


needs_dnf = pytest.mark.skipif(shutil.which("dnf") is None, reason="this machine has no dnf")


@needs_dnf
def test_dnf_checks_the_repository_and_the_packages_and_installs(
    tmp_path: Path, repository: Path
) -> None:
    done = dnf(tmp_path, "install", "a", "b")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "root/usr/share/a").read_text() == "a\n"


@needs_dnf
def test_dnf_refuses_a_changed_index_and_an_unsigned_package(
    tmp_path: Path, repository: Path, throw_away: ThrowAwayKey
) -> None:
    path = repository / "repodata/repomd.xml"
    plain = path.read_bytes()
    path.write_bytes(plain + b" ")
    assert dnf(tmp_path, "makecache").returncode != 0
    path.write_bytes(plain)
    unsigned = next(tmp_path.glob("build-a/RPMS/*/*.rpm"))
    shutil.copy(unsigned, repository / "packages/a.rpm")
    index(sorted((repository / "packages").iterdir()), repository, throw_away)
    done = dnf(tmp_path, "install", "a")
    assert done.returncode != 0 and "not signed" in done.stdout + done.stderr


def test_the_index_is_the_same_bytes_in_any_order_and_at_any_time(
    tmp_path: Path, repository: Path, throw_away: ThrowAwayKey
) -> None:
    rpms = sorted((repository / "packages").iterdir(), reverse=True)
    again = index(rpms, tmp_path / "again", throw_away)
    first = repository / "repodata"
    assert sorted(p.name for p in first.iterdir()) == sorted(p.name for p in again.iterdir())
    assert all(path.read_bytes() == (again / path.name).read_bytes() for path in first.iterdir())
    primary = gzip.decompress(next(first.glob("*-primary.xml.gz")).read_bytes()).decode()
    assert "<summary>a test &amp; more</summary>" in primary and 'packages="2"' in primary
    assert f'<time file="{RELEASED}"' in primary
