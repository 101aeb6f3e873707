"""Promise: what a revoked or expired key signed is refused, whichever verifier a host has."""

from __future__ import annotations

from pathlib import Path

import bundles
import forged
import pytest
from bundles import MEDIUM, STATE
from installing import KEYRING, no_source, refused
from scenario import Hosts

VERIFIERS = {"trixie": "sqv", "bookworm": "gpgv", "el9": "gpg"}


@pytest.mark.parametrize("suite", VERIFIERS)
def test_a_key_that_does_not_count_any_more(
    suite: str, hosts: Hosts, light: bundles.Bundle, key: bundles.Key, tmp_path: Path
) -> None:
    """All of these are by `key`; what differs is what is published of it, and what the host knows."""
    revoked = key.revoked()
    late = bundles.Key(tmp_path, expires="20260201T000000")
    made = {
        bundles.resealed(bundles.copy(light, tmp_path / "revoked"), key, revoked): "/revoked",
        bundles.resealed(bundles.copy(light, tmp_path / "expired"), late): "/expired",
    }
    late.stop()
    (tmp_path / "revoked.gpg").write_bytes(revoked)
    binds = {light.folder: MEDIUM, tmp_path: "/keys"}
    binds.update({bundle.folder: name for bundle, name in made.items()})
    told = ["--fingerprint", key.fingerprint]
    reasons = {"revoked": told, "expired": ["--fingerprint", late.fingerprint]}
    with hosts.boot(suite, binds=binds) as host:
        for reason, its in reasons.items():
            for words in ([], its):
                said = refused(host.run([f"/{reason}/verify.sh", *words]), "not a valid signature")
                assert f"({VERIFIERS[suite]}: " in said
                assert reason in said
            refused(host.run([f"/{reason}/install.sh", *its]), reason)

        # The bundle brings the key as it was; the host knows better, whatever it is told.
        host.check([f"{MEDIUM}/verify.sh", *told])
        host.check(["install", "-D", "-m", "644", "/keys/revoked.gpg", KEYRING])
        for script in ("verify.sh", "install.sh"):
            for words in ([], told):
                said = refused(host.run([f"{MEDIUM}/{script}", *words]), "no longer accepts")
                assert "revoked" in said
        if suite != "el9":
            assert no_source(host)
        assert host.run(["test", "-e", STATE]).returncode == 1


@pytest.mark.parametrize("suite", VERIFIERS)
def test_a_subkey_that_does_not_count_any_more(
    suite: str, hosts: Hosts, light: bundles.Bundle, tmp_path: Path
) -> None:
    """Its key counts as before: whoever compares fingerprints sees the published one."""
    key = bundles.Key(tmp_path)
    key.add_subkey()
    revoked = key.with_subkey_revoked()
    signed = bundles.resealed(bundles.copy(light, tmp_path / "signed"), key)
    named = bundles.resealed(bundles.copy(light, tmp_path / "named"), key, revoked)
    key.stop()
    signature = named.folder / "MANIFEST.sig"
    signature.write_bytes(forged.naming(signature.read_bytes(), key.fingerprint))
    (tmp_path / "revoked.gpg").write_bytes(revoked)
    binds = {signed.folder: "/signed", named.folder: "/named", tmp_path: "/keys"}
    told = ["--fingerprint", key.fingerprint]
    with hosts.boot(suite, binds=binds) as host:
        host.check(["/signed/verify.sh", *told])
        for words in ([], told):  # that says beside the signature that the key itself made it
            refused(host.run(["/named/verify.sh", *words]), "not a valid signature")

        host.check(["install", "-D", "-m", "644", "/keys/revoked.gpg", KEYRING])
        for script in ("verify.sh", "install.sh"):
            for words in ([], told):
                said = refused(host.run([f"/signed/{script}", *words]), "no longer accepts")
                assert "revoked" in said and "--fingerprint" not in said
        assert host.run(["test", "-e", STATE]).returncode == 1
