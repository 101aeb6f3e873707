"""signer.sh: one judgement whichever verifier there is. sqv is on few build machines: hosts ask it too."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.forged import naming

SIGNER = Path(__file__).resolve().parents[4] / "src/backendai_ctl/bundle/signer.sh"
VERIFIERS = ("sqv", "gpgv", "gpg")
TOOLS = [
    "sh",
    "awk",
    "cat",
    "cut",
    "date",
    "grep",
    "head",
    "mktemp",
    "od",
    "rm",
    "sed",
    "sha1sum",
    "tail",
    "tr",
    "wc",
    "gpg-agent",
]
MADE, LATER, END = "20260101T000000", "20260401T000000", "20260301T000000"


@dataclass(frozen=True)
class Key:
    """A key ring with one key, made in January 2026."""

    home: Path

    def gpg(self, *words: str, data: bytes = b"", at: str = MADE) -> bytes:
        argv = [
            "gpg",
            f"--homedir={self.home}",
            "--quiet",
            "--no-tty",
            f"--faked-system-time={at}!",
        ]
        return subprocess.run([*argv, *words], input=data, check=True, capture_output=True).stdout

    @property
    def fingerprint(self) -> str:
        rows = self.gpg("--batch", "--with-colons", "--list-keys").decode().splitlines()
        return next(row.split(":")[9] for row in rows if row.startswith("fpr"))

    def sign(self, data: bytes, *options: str) -> bytes:
        return self.gpg("--batch", *options, "--detach-sign", "--output=-", data=data)

    def public(self) -> bytes:
        return self.gpg("--batch", "--export")

    def revoke(self, reason: int) -> None:
        answers = f"y\n{reason}\n\ny\n".encode()
        words = ("--command-fd=0", "--gen-revoke", self.fingerprint)
        self.gpg("--batch", "--import", data=self.gpg(*words, data=answers, at=LATER))


MakeKey = Callable[..., Key]


@dataclass(frozen=True)
class Judge:
    """signer.sh on a machine that has no verifier but `verifier`."""

    verifier: str
    folder: Path

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [self.folder / "bin/sh", SIGNER, *words],
            cwd=self.folder,
            env={**os.environ, "PATH": str(self.folder / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )
        verdict, _, rest = done.stdout.strip().partition(" ")
        assert (done.returncode == 0) == (verdict in ("good", "fine")), done
        assert words[0] == "key" or rest.startswith(f"{self.verifier} "), done
        return f"{verdict} {rest.split()[-1]}" if verdict == "good" else verdict

    def check(self, keys: bytes, signature: bytes, data: bytes) -> str:
        for name, content in (("keys", keys), ("signature", signature), ("data", data)):
            (self.folder / name).write_bytes(content)
        return self("check", "keys", "signature", "data")


@pytest.fixture
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeKey]:
    homes = []

    def made(algorithm: str = "ed25519", expires: str = "never") -> Key:
        home = Path(os.path.realpath(tmp_path_factory.mktemp("k")))
        home.chmod(0o700)
        homes.append(home)
        key = Key(home)
        key.gpg(
            "--batch", "--passphrase=", "--quick-generate-key", "me", algorithm, "sign", expires
        )
        return key

    yield made
    for home in homes:
        subprocess.run(["gpgconf", f"--homedir={home}", "--kill", "gpg-agent"], check=False)


@pytest.fixture(params=VERIFIERS)
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> Judge:
    if not shutil.which(request.param) or not shutil.which("gpg"):
        pytest.skip(f"{request.param} is not installed")
    (tmp_path / "bin").mkdir()
    for tool in (*TOOLS, request.param):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return Judge(request.param, tmp_path)


@pytest.mark.parametrize("algorithm", ["ed25519", "rsa2048"])
def test_one_signature_of_a_key_that_counts_is_good(
    algorithm: str, judge: Judge, make: MakeKey
) -> None:
    key, other = make(algorithm), make()
    signature = key.sign(b"data")
    good = f"good {key.fingerprint}"
    assert judge.check(key.public(), signature, b"data") == good
    assert judge.check(other.public() + key.public(), signature, b"data") == good
    assert judge.check(other.public(), signature, b"data") == "absent"
    assert judge.check(key.public(), signature, b"other data") == "bad"
    for keys, signatures in (
        (key.public() + other.public(), signature + other.sign(b"data")),
        (key.public(), signature + other.sign(b"data")),
        (key.public(), signature + signature),
        (key.public(), b""),
        (key.public(), signature[:-3]),
        (key.public(), b"x" * 40),
        (b"", signature),
        (b"no keys", signature),
    ):
        assert judge.check(keys, signatures, b"data") in ("bad", "absent"), (keys, signatures)


@pytest.mark.parametrize("reason", [0, 1, 2, 3])
def test_a_revoked_key_signs_nothing_for_whatever_reason(
    reason: int, judge: Judge, make: MakeKey
) -> None:
    """By GnuPG's numbers: none, stolen, replaced, no longer used."""
    key, other = make(), make()
    before, signature = key.public(), key.sign(b"data")
    key.revoke(reason)
    assert judge.check(key.public(), signature, b"data") == "revoked"
    assert judge.check(other.public() + key.public(), signature, b"data") == "revoked"
    assert judge.check(before + key.public(), signature, b"data") == "revoked"
    other_good = f"good {other.fingerprint}"
    assert judge.check(key.public() + other.public(), other.sign(b"data"), b"data") == other_good


def test_a_subkey_signs_for_its_key_until_it_is_revoked_or_expires(
    judge: Judge, make: MakeKey
) -> None:
    key = make()
    good = f"good {key.fingerprint}"
    key.gpg("--batch", "--passphrase=", "--quick-add-key", key.fingerprint, "ed25519", "sign")
    rows = key.gpg("--batch", "--with-colons", "--list-keys").decode().splitlines()
    subkey = [row.split(":")[9] for row in rows if row.startswith("fpr")][1]
    by_primary = key.sign(b"data", f"--local-user={key.fingerprint}!")
    by_subkey = key.sign(b"data", f"--local-user={subkey}!")
    assert judge.check(key.public(), by_primary, b"data") == good
    assert judge.check(key.public(), by_subkey, b"data") == good
    words = ("--command-fd=0", "--edit-key", key.fingerprint)
    key.gpg(*words, data=b"key 1\nrevkey\ny\n2\n\ny\nsave\n", at=LATER)
    assert judge.check(key.public(), by_subkey, b"data") == "revoked"
    assert judge.check(key.public(), by_primary, b"data") == good
    late = make()
    quick = ("--passphrase=", "--quick-add-key", late.fingerprint, "ed25519", "sign", END)
    late.gpg("--batch", *quick)
    assert judge.check(late.public(), late.sign(b"data"), b"data") == "expired"


def test_a_signature_names_one_key(judge: Judge, make: MakeKey) -> None:
    """Outside of what is signed anybody can name another key, such as one that was not revoked."""
    key, other = make(), make()
    key.gpg("--batch", "--passphrase=", "--quick-add-key", key.fingerprint, "ed25519", "sign")
    rows = key.gpg("--batch", "--with-colons", "--list-keys").decode().splitlines()
    subkey = [row.split(":")[9] for row in rows if row.startswith("fpr")][1]
    by_primary = key.sign(b"data", f"--local-user={key.fingerprint}!")
    by_subkey = key.sign(b"data", f"--local-user={subkey}!")
    good = f"good {key.fingerprint}"
    assert judge.check(key.public(), naming(by_primary, key.fingerprint), b"data") == good
    assert judge.check(key.public(), naming(by_subkey, subkey), b"data") == good
    for signature, named in (
        (by_primary, subkey),
        (by_primary, other.fingerprint),
        (by_subkey, key.fingerprint),
        (by_primary, key.fingerprint[-8:]),  # a key's number is longer
    ):
        for ours in (naming(signature, named), naming(signature, named, first=True)):
            assert judge.check(key.public(), ours, b"data") == "bad"
    words = ("--command-fd=0", "--edit-key", key.fingerprint)
    key.gpg(*words, data=b"key 1\nrevkey\ny\n2\n\ny\nsave\n", at=LATER)
    assert judge.check(key.public(), naming(by_subkey, key.fingerprint), b"data") == "bad"


def test_what_expired_does_not_count(judge: Judge, make: MakeKey) -> None:
    expired, key = make(expires=END), make(expires="20990101T000000")
    assert judge.check(expired.public(), expired.sign(b"data"), b"data") == "expired"
    until = key.sign(b"data", f"--default-sig-expire={END}")
    assert judge.check(key.public(), until, b"data") == "expired"
    assert judge.check(key.public(), key.sign(b"data"), b"data") == f"good {key.fingerprint}"
    expired.gpg("--batch", "--quick-set-expire", expired.fingerprint, "0", at="20260215T000000")
    good = f"good {expired.fingerprint}"  # it was given more time
    assert judge.check(expired.public(), expired.sign(b"data"), b"data") == good


def test_what_a_keyring_says_of_a_key(judge: Judge, make: MakeKey, tmp_path: Path) -> None:
    key, other, late = make(), make(), make(expires=END)
    other.revoke(1)
    (tmp_path / "keys").write_bytes(key.public() + other.public() + late.public())
    asked = [judge("key", "keys", one.fingerprint) for one in (key, other, late)]
    assert asked == ["fine", "revoked", "expired"]
    assert judge("key", "keys", "0" * 40) == "absent"
    (tmp_path / "keys").write_bytes(key.public()[:-5])
    assert judge("key", "keys", key.fingerprint) == "bad"
