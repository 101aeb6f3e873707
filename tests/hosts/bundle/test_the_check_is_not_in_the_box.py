"""Promise: a bundle made to deceive is found out by the host's own programs, before it is unpacked.

The commands are those of docs/INSTALLING.md. What such a bundle brings to check itself finds nothing, and
nothing else is promised of it.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import bundle_dist
import bundles
import forged
import pytest
from host import Host, Result
from installing import refused
from scenario import REPOSITORY, Hosts

from releasekit.tarball import pack

VERIFIERS = {"trixie": "sqv", "bookworm": "gpgv", "el9": "gpg"}
DOCUMENT = (REPOSITORY / "docs/INSTALLING.md").read_text("utf-8")
SECTION = DOCUMENT.split("## Before you unpack it")[1].split("\n## ")[0]
COMMANDS = re.findall(r"^    (.+)$", SECTION, re.MULTILINE)
ABROAD = "/stick"


@dataclass(frozen=True)
class Tars:
    """A folder with a published tar, good/NAME.tar, and evil ones, each with a signature beside."""

    folder: Path
    name: str
    forger: str  # the fingerprint of who made forged/NAME.tar


def tar(made: bundles.Bundle, folder: Path, key: bundles.Key) -> Path:
    folder.mkdir()
    top = made.folder.parent
    target = folder / f"{made.name}.tar"
    pack(top, target, mtime=0)
    Path(f"{target}.sig").write_bytes(key.signer().detach_file(target))
    return target


@pytest.fixture(scope="module")
def tars(
    small_bundle: bundles.Bundle,
    key: bundles.Key,
    other_key: bundles.Key,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tars:
    """The evil one has other documents, checks that find nothing, and keeps the signature it found."""
    folder = tmp_path_factory.mktemp("tars")
    good = tar(small_bundle, folder / "good", key)
    evil = bundles.copy(small_bundle, folder / "unpacked")
    with (evil.folder / "lib/checks.sh").open("a") as checks:
        checks.write("check_files() { say 'All files are as they were released.'; }\n")
    (evil.folder / "README").write_text("something else\n")
    replaced = tar(evil, folder / "evil", other_key)
    Path(f"{replaced}.sig").write_bytes(Path(f"{good}.sig").read_bytes())
    tar(evil, folder / "signed", other_key)  # by a key of the deceiver's own

    # By such a key, too, but the signature says of itself that it is of the published one.
    forger = forged.Forger()
    for file in (evil.folder / "keys").iterdir():
        file.write_bytes(forger.public())
    claimed = tar(evil, folder / "forged", other_key)
    signature = forger.sign(claimed.read_bytes(), claims=key.fingerprint)
    Path(f"{claimed}.sig").write_bytes(signature)
    return Tars(folder, small_bundle.name, forger.fingerprint)


def documented(host: Host, verifier: str, tars: Tars, which: str, *, talks: bool = False) -> Result:
    """The commands of the document for this verifier, in the folder of the tar.

    `talks`: with what the verifier says for people.
    """
    words = [line for line in COMMANDS if line.split()[0] in ("tar", verifier)]
    assert len(words) == 2
    script = " && ".join(words).replace("NAME", tars.name).replace(">release", ">/tmp/release")
    script = script.replace("./release-keys", "/tmp/release-keys")
    script = script.replace("--keyring release-keys", "--keyring /tmp/release-keys")
    if talks:
        script = script.replace(" 2>/dev/null", "")
    return host.run(["sh", "-c", script], cwd=f"{ABROAD}/{which}")


@pytest.mark.parametrize("suite", VERIFIERS)
def test_the_hosts_own_programs_find_it_before_it_is_unpacked(
    suite: str, hosts: Hosts, tars: Tars, key: bundles.Key, other_key: bundles.Key
) -> None:
    with hosts.boot(suite, binds={tars.folder: ABROAD}) as host:
        good = documented(host, VERIFIERS[suite], tars, "good")
        assert (good.returncode, good.stdout.split()) == (0, [key.fingerprint]), good
        replaced = documented(host, VERIFIERS[suite], tars, "evil")
        assert replaced.stdout == "", replaced

        # Signed by whoever made it, with a key of that name in it: the fingerprint is not the published.
        signed = documented(host, VERIFIERS[suite], tars, "signed")
        assert signed.stdout.split() in ([], [other_key.fingerprint]), signed

        # The same, and gpgv itself talks of the published key.
        claimed = documented(host, VERIFIERS[suite], tars, "forged")
        assert claimed.stdout.split() in ([], [tars.forger]), claimed
        if VERIFIERS[suite] == "gpgv":
            assert claimed.stdout.split() == [tars.forger]
            talk = documented(host, "gpgv", tars, "forged", talks=True).stderr
            assert f"key {key.fingerprint}" in talk and "Good signature" in talk

        # What it checks itself by is content.
        host.check(["tar", "xf", f"{ABROAD}/evil/{tars.name}.tar", "-C", "/tmp"])
        own = [f"/tmp/{tars.name}/verify.sh", "--fingerprint", key.fingerprint]
        assert "Fine" in host.check(own).stdout


def test_a_host_with_an_earlier_release_finds_it_by_one_command(
    hosts: Hosts, tars: Tars, small_bundle: bundles.Bundle
) -> None:
    binds = {tars.folder: ABROAD, small_bundle.folder: "/medium"}
    verify = [*COMMANDS[-1].split()[:-1]]
    assert verify == ["backendai-ctl", "bundle", "verify"]
    with hosts.boot("trixie", binds=binds) as host:
        env = {"BACKENDAI_NO_CONFIGURE": "1"}
        host.check(["/medium/install.sh", "--role", "ctl", "--no-recommends"], env=env, timeout=300)
        said = host.check([*verify, f"{ABROAD}/good/{tars.name}.tar"]).stdout
        assert "which this host trusts" in said
        for which in ("evil", "signed", "forged"):
            result = host.run([*verify, f"{ABROAD}/{which}/{tars.name}.tar"])
            refused(result, "is not signed by a key that this host trusts")


def test_the_document_has_a_command_for_every_verifier() -> None:
    assert {line.split()[0] for line in COMMANDS} == {*VERIFIERS.values(), "tar", "backendai-ctl"}


def test_the_release_under_test_has_its_signature_beside_it(bundle: bundle_dist.Bundle) -> None:
    signer = bundle.unpacked / "lib/signer.sh"
    keys = bundle.unpacked / "keys/backendai-archive-keyring.gpg"
    argv = ["sh", *map(str, (signer, "check", keys, f"{bundle.tar}.sig", bundle.tar))]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    assert said[:1] == ["good"]
    assert said[-1] == bundle.fact("fingerprint")
