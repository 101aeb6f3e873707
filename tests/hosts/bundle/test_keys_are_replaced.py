"""Promise: the keyring package brings the next key, and hosts take what that one signs."""

from __future__ import annotations

import subprocess
from functools import partial
from hashlib import md5
from pathlib import Path

import artefacts
import bundles
import pytest
from bundles import MEDIUM
from installing import KEYRING, SOURCE, install
from scenario import Hosts

PACKAGE = "backendai-archive-keyring"
UPDATE = ["apt-get", "update", "-o", "APT::Update::Error-Mode=any"]
MD5SUMS = "DEBIAN/md5sums"
ARMOURED = KEYRING.replace(".gpg", ".asc")


def keyring_deb(folder: Path, dist: artefacts.Dist, key: bundles.Key, *more: bundles.Key) -> Path:
    """The package of dist/ with these public keys in the place of the builder's."""
    (original,) = (deb for deb in dist.debs if deb.name.startswith(PACKAGE))
    tree, made = folder / "keyring", folder / original.name
    subprocess.run(["dpkg-deb", "-R", original, tree], check=True)
    for path, armor in ((KEYRING, False), (ARMOURED, True)):
        (tree / path[1:]).write_bytes(key.signer(*more).public_key(armor=armor))
    sums = [tree / line.split("  ", 1)[1] for line in (tree / MD5SUMS).read_text().splitlines()]
    rows = [f"{md5(file.read_bytes()).hexdigest()}  {file.relative_to(tree)}\n" for file in sums]
    (tree / MD5SUMS).write_text("".join(rows))
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", tree, made], check=True)
    return made


def test_a_host_takes_the_release_that_the_new_key_signs(
    hosts: Hosts,
    dist: artefacts.Dist,
    light: bundles.Bundle,
    key: bundles.Key,
    other_key: bundles.Key,
    tmp_path: Path,
) -> None:
    """`light` knows the old key alone; the next announces the new one; the last is signed by it."""
    (tmp_path / "announcing").mkdir()
    deb = keyring_deb(tmp_path / "announcing", dist, key, other_key)
    make = partial(bundles.make, packages=bundles.LIGHT, debian=[deb])
    announcing = make(
        tmp_path / "announcing", dist, key, number=2, revision="2", trusted=[other_key]
    )
    last = make(tmp_path / "last", dist, other_key, number=3, revision="3", trusted=[key])
    older = bundles.resealed(bundles.copy(light, tmp_path / "earlier"), key, version="26.9.2-1")
    binds = {light.folder: MEDIUM, announcing.folder: "/announcing", last.folder: "/last"}
    binds[older.folder] = "/earlier"
    with hosts.boot("trixie", binds=binds) as host:
        assert install(host, "--role", "runtime").returncode == 0
        point = f"sed -i 's,^URIs: .*,URIs: file:%s/apt,' {SOURCE}"

        host.sh(point % "/last")  # not announced yet
        assert host.run(UPDATE).returncode
        said = host.run(["/last/verify.sh"])
        assert "trusts another key" in said.stderr, said

        host.sh(point % "/announcing")  # signed by the old key: what a mirror of the site serves
        host.check(UPDATE)
        host.check(["apt-get", "install", "-y", "-q", PACKAGE])
        assert host.sh(f"dpkg --verify {PACKAGE}") == ""
        # No script saw that release, so the number does not tell that this one is older.
        host.check(["/earlier/install.sh"])
        assert host.sh(f"dpkg --verify {PACKAGE}") == ""

        host.sh(point % "/last")
        updated = host.check(UPDATE)
        assert "W:" not in updated.stdout + updated.stderr
        assert "trusts since" in host.check(["/last/verify.sh"]).stdout
        host.check(["/last/install.sh", "--role", "runtime"])

        host.check(["/last/install.sh", "--uninstall-source"])
        assert host.run(["test", "-e", KEYRING]).returncode == 0  # the package's


@pytest.mark.parametrize("announced", [False, True])
def test_dnf_takes_the_new_key_where_it_was_announced(
    announced: bool,
    hosts: Hosts,
    dist: artefacts.Dist,
    key: bundles.Key,
    other_key: bundles.Key,
    tmp_path: Path,
) -> None:
    """A .repo file names one file of keys, which the package owns."""
    trusted = [other_key] if announced else []
    make = partial(bundles.make, packages=bundles.LIGHT, rpms=True)
    old = make(tmp_path / "old", dist, key, trusted=trusted)
    new = make(tmp_path / "new", dist, other_key, number=2, revision="2")
    with hosts.boot("el9", binds={old.folder: MEDIUM, new.folder: "/new"}) as host:
        assert install(host, "--no-install").returncode == 0
        repo = "/etc/yum.repos.d/backendai.repo"
        assert f"gpgkey=file://{ARMOURED}" in host.sh(f"cat {repo}").splitlines()
        host.sh(f"sed -i 's,^baseurl=.*,baseurl=file:///new/rpm,' {repo}")
        call = ["dnf", "-y", "--releasever=9", "--refresh", "install", "backendai-runtime"]
        assert (host.run(call, timeout=300).returncode == 0) is announced
        if announced:
            assert host.sh("rpm -V backendai-runtime") == ""


def test_the_rpm_of_the_keyring_owns_what_dnf_reads(dist: artefacts.Dist) -> None:
    (rpm,) = (rpm for rpm in dist.rpms if rpm.name.startswith(PACKAGE))
    listed = subprocess.run(["rpm", "-qpl", rpm], capture_output=True, text=True, check=True)
    assert {KEYRING, ARMOURED} <= set(listed.stdout.split())
