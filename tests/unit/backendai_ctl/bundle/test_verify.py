"""backendai-ctl bundle verify: the tar of a release by its signature and the keys of this host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backendai_ctl.bundle import verify
from backendai_ctl.cli import bundle as cli
from backendai_ctl.errors import BadRequest, Problem
from releasekit.bundle import BundleSpec, complete
from releasekit.signing import Signer
from releasekit.tarball import pack
from tests.unit.signing_keys import ThrowAwayKey, throw_away_key

SPEC = BundleSpec("26.9.7-1", 7, "2026-11-23", "linux", "amd64", 1_795_392_000)


@pytest.fixture(scope="module")
def keys() -> Iterator[tuple[ThrowAwayKey, ThrowAwayKey]]:
    """The publisher's, and a stranger's."""
    with throw_away_key() as one, throw_away_key() as other:
        yield one, other


@pytest.fixture
def tar(
    keys: tuple[ThrowAwayKey, ThrowAwayKey], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A bundle with its signature on a host that trusts the publisher and has seen release 6."""
    monkeypatch.setattr(verify, "KEYRING", tmp_path / "host.gpg")
    monkeypatch.setattr(verify, "NEWEST", tmp_path / "newest")
    (tmp_path / "host.gpg").write_bytes(keys[0].public())
    (tmp_path / "newest").write_text("6\n")
    return made(tmp_path, keys[0])


def made(folder: Path, key: ThrowAwayKey) -> Path:
    root = folder / "bundle" / SPEC.name
    root.mkdir(parents=True, exist_ok=True)
    for path in root.rglob("*"):
        if path.is_file():
            path.unlink()
    (root / "install.sh").write_text("#!/bin/sh\nexit 0\n")
    signer = Signer.from_environment(key.environment())
    complete(root, SPEC, signer, kind="given", fingerprint=key.fingerprint)
    target = folder / f"{SPEC.name}.tar"
    pack(folder / "bundle", target, mtime=SPEC.mtime)
    Path(f"{target}.sig").write_bytes(signer.detach_file(target))
    return target


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(cli.command, [str(word) for word in ("verify", *words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_what_the_publisher_signed_is_fine(
    tar: Path, keys: tuple[ThrowAwayKey, ThrowAwayKey]
) -> None:
    said = run(tar).stdout
    assert "Backend.AI 26.9.7-1, release 7 of 2026-11-23, is as it was signed" in said
    assert f"sudo ./{SPEC.name}/install.sh" in said
    found = json.loads(run(tar, "--json").stdout)
    assert (found["number"], found["fingerprint"]) == (7, keys[0].fingerprint)


@pytest.mark.parametrize("at", [0, 300, 5_000, -1])
def test_one_changed_bit_anywhere_is_refused(at: int, tar: Path) -> None:
    """Also in what no file holds: a header, the end."""
    whole = bytearray(tar.read_bytes())
    whole[at] ^= 1
    tar.write_bytes(whole)
    with pytest.raises(Problem, match="not signed by a key that this host trusts"):
        verify.verify(tar)


def test_another_key_than_the_hosts_is_refused_whatever_the_bundle_brings(
    tar: Path, keys: tuple[ThrowAwayKey, ThrowAwayKey], tmp_path: Path
) -> None:
    made(tmp_path, keys[1])
    with pytest.raises(Problem, match="no key of the keyring signed it"):
        verify.verify(tar)
    verify.KEYRING.write_bytes(keys[0].public() + keys[1].public())
    assert verify.verify(tar).fingerprint == keys[1].fingerprint


def test_an_older_release_is_refused_unless_it_is_asked_for(tar: Path) -> None:
    verify.NEWEST.write_text("8\n")
    with pytest.raises(Problem, match="older than the newest seen on this host, 8") as raised:
        run(tar)
    assert "--allow-older" in raised.value.hint
    assert run(tar, "--allow-older").exit_code == 0
    verify.NEWEST.unlink()
    assert run(tar).exit_code == 0


def test_what_cannot_be_checked_is_no_answer(tar: Path, tmp_path: Path) -> None:
    for missing in (tar.with_name(f"{tar.name}.sig"), verify.KEYRING):
        content = missing.read_bytes()
        missing.unlink()
        with pytest.raises(BadRequest, match="no such file"):
            verify.verify(tar)
        missing.write_bytes(content)
    with pytest.raises(BadRequest, match="is a folder"):
        verify.verify(tmp_path)


def test_a_signed_file_that_is_no_bundle_is_none(
    tar: Path, keys: tuple[ThrowAwayKey, ThrowAwayKey]
) -> None:
    tar.write_bytes(b"signed, but not a tar")
    signer = Signer.from_environment(keys[0].environment())
    Path(f"{tar}.sig").write_bytes(signer.detach_file(tar))
    with pytest.raises(Problem, match="not a release bundle"):
        verify.verify(tar)
