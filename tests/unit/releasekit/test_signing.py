from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from signing_keys import ThrowAwayKey, throw_away_key

from releasekit.errors import Failure
from releasekit.signing import Signer, armored, signing_key


def verified(key: ThrowAwayKey, folder: Path, signature: bytes, data: bytes | None) -> str:
    """What gpgv says, given nothing but the public keyring."""
    (folder / "keyring").write_bytes(key.public())
    (folder / "signature").write_bytes(signature)
    argv = ["gpgv", "--keyring", str(folder / "keyring"), str(folder / "signature")]
    if data is not None:
        (folder / "data").write_bytes(data)
        argv.append(str(folder / "data"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode == 0 else f"REFUSED {done.stderr}"


def test_the_same_data_gives_the_same_signature_and_gpgv_accepts_it(
    throw_away: ThrowAwayKey, tmp_path: Path
) -> None:
    signer = Signer.from_environment(throw_away.environment())
    for armor in (True, False):
        signature = signer.detach(b"data", armor=armor)
        assert signer.detach(b"data", armor=armor) == signature
        assert signature.startswith(b"-----BEGIN PGP SIGNATURE-----\n\n") == armor
        assert "Good signature" in verified(throw_away, tmp_path, signature, b"data")
        assert "REFUSED" in verified(throw_away, tmp_path, signature, b"Data")
    text = signer.clearsign(b"Origin: x\n")
    assert text == signer.clearsign(b"Origin: x\n") and b"\nOrigin: x\n-----BEGIN" in text
    assert "Nov 23" in verified(throw_away, tmp_path, text, None)


def test_a_file_is_signed_as_its_bytes_are(throw_away: ThrowAwayKey, tmp_path: Path) -> None:
    signer = Signer.from_environment(throw_away.environment())
    (tmp_path / "file").write_bytes(b"data")
    assert signer.detach_file(tmp_path / "file") == signer.detach(b"data", armor=False)


def test_a_key_younger_than_the_release_signs_with_its_own_date(tmp_path: Path) -> None:
    with throw_away_key(created="20261123T010000") as key:
        signer = Signer.from_environment(key.environment())
        assert signer.when == 1_795_392_000 + 3600
        assert "Good signature" in verified(key, tmp_path, signer.detach(b"x", armor=False), b"x")


def test_public_keys_are_the_keyring_and_gpg_reads_the_armor(throw_away: ThrowAwayKey) -> None:
    signer = Signer.from_environment(throw_away.environment())
    assert signer.public_key(armor=False) == throw_away.public()
    text = signer.public_key(armor=True)
    assert text == armored(throw_away.public()) and max(map(len, text.splitlines())) <= 64
    assert throw_away.gpg("--dearmor", data=text) == throw_away.public()


def test_ecdsa_is_refused_for_its_signatures_differ(throw_away: ThrowAwayKey) -> None:
    with throw_away_key(algorithm="nistp256") as key, pytest.raises(Failure, match="neither"):
        Signer.from_environment(key.environment())


def test_rsa_signs(tmp_path: Path) -> None:
    with throw_away_key(algorithm="RSA\nKey-Length: 2048") as key:
        signature = Signer.from_environment(key.environment()).detach(b"x", armor=False)
        assert signature == Signer.from_environment(key.environment()).detach(b"x", armor=False)
        assert "Good signature" in verified(key, tmp_path, signature, b"x")


LISTING = """\
pub:{primary}:255:22:AAAA:100:::u:::{use}:::::ed25519:::0:
fpr:::::::::PRIMARY:
uid:u::::1::X::Name::::::::::0:
sub:{sub}:255:22:BBBB:200::::::s:::::ed25519::
fpr:::::::::SUB:
"""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"primary": "u", "use": "scSC", "sub": "u"}, ("PRIMARY", 100)),
        ({"primary": "u", "use": "cSC", "sub": "u"}, ("SUB", 200)),
    ],
)
def test_the_primary_key_signs_where_it_can(
    fields: dict[str, str], expected: tuple[str, int]
) -> None:
    key = signing_key(LISTING.format(**fields), "PRIMARY")
    assert (key.fingerprint, key.created) == expected


def test_an_expired_or_revoked_key_is_refused() -> None:
    with pytest.raises(Failure, match="cannot sign"):
        signing_key(LISTING.format(primary="e", use="scSC", sub="r"), "PRIMARY")


def test_a_missing_passphrase_is_said_with_the_cure() -> None:
    with throw_away_key(passphrase="right one") as key:
        environment: dict[str, Any] = key.environment()
        subprocess.run(["gpgconf", f"--homedir={key.home}", "--kill", "gpg-agent"], check=True)
        with pytest.raises(Failure, match="passphrase") as caught:
            Signer.from_environment(environment).detach(b"x", armor=False)
        assert "BACKENDAI_SIGNING_PASSPHRASE" in caught.value.hint


def test_without_what_the_launcher_sets_nothing_is_signed() -> None:
    with pytest.raises(Failure, match="BACKENDAI_GPG"):
        Signer.from_environment({})
