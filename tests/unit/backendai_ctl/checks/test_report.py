"""Promises of backendai_ctl.checks.report: a report is stable, and its signature can be checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from backendai_ctl.checks import report
from backendai_ctl.checks.report import Finding, Report
from backendai_ctl.errors import Problem

FINDINGS = (
    Finding("host", "memory", "warn", "2 GB [of 4]", "it is needed", "add some"),
    Finding("host", "clock", "skip", "a container", "tokens", ""),
)
REPORT = Report("26.9.6-1", "node1", "2026-11-23T08:00:00+00:00", False, FINDINGS)


def pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_the_same_findings_give_the_same_bytes(tmp_path: Path) -> None:
    one = report.write(REPORT, tmp_path / "a")
    other = report.write(REPORT, tmp_path / "b")
    assert one.json.name == "2026-11-23T080000Z.json"
    assert one.json.read_bytes() == other.json.read_bytes()
    assert one.text.read_bytes() == other.text.read_bytes()
    assert one.sha256 == hashlib.sha256(one.json.read_bytes()).hexdigest()
    assert one.json.stat().st_mode & 0o777 == one.text.stat().st_mode & 0o777 == 0o640
    assert json.loads(one.json.read_text())["counts"] == {"fail": 0, "warn": 1, "skip": 1, "ok": 0}


def test_the_text_says_why_and_how_to_mend(tmp_path: Path) -> None:
    text = report.write(REPORT, tmp_path).text.read_text()
    assert "memory: 2 GB [of 4]\n        why:  it is needed\n        hint: add some\n" in text
    assert "\x1b" not in text


def test_a_signature_is_of_the_file_as_it_is(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(pem(key))
    written = report.write(REPORT, tmp_path, key=tmp_path / "key.pem")
    assert written.signature
    signature, content = written.signature.read_bytes(), written.json.read_bytes()
    key.public_key().verify(signature, content)
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, content.replace(b"node1", b"node2"))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_can_check_it_as_the_guide_says(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(pem(key))
    written = report.write(REPORT, tmp_path, key=tmp_path / "key.pem")
    call = ["openssl", "pkeyutl", "-verify", "-rawin", "-inkey", str(tmp_path / "key.pem")]
    call += ["-in", str(written.json), "-sigfile", str(written.signature)]
    assert subprocess.run(call, capture_output=True, check=False).returncode == 0
    written.json.write_text(written.json.read_text().replace("node1", "node2"))
    assert subprocess.run(call, capture_output=True, check=False).returncode != 0


def test_a_key_of_another_kind_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(Problem, match="not an Ed25519 key"):
        report.write(REPORT, tmp_path / "out", key=tmp_path / "key.pem")
    with pytest.raises(Problem, match="No such file"):
        report.write(REPORT, tmp_path / "out", key=tmp_path / "absent.pem")
    assert not (tmp_path / "out").exists()


def test_what_failed_is_among_the_errors_of_its_json(tmp_path: Path) -> None:
    data = json.loads(report.write(REPORT, tmp_path).json.read_text())
    assert (data["ok"], data["errors"]) == (True, [])
    failed = replace(
        REPORT, findings=(*FINDINGS, Finding("docker", "server", "fail", "x", "", "y"))
    )
    data = json.loads(report.write(failed, tmp_path).json.read_text())
    assert (data["ok"], data["errors"]) == (False, [{"message": "server: x", "hint": "y"}])
