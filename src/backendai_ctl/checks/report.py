"""What doctor found: kept in a form that can be compared, read and signed."""

from __future__ import annotations

import hashlib
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from backendai_ctl.errors import Problem, summary
from backendai_ctl.platform import files
from backendai_ctl.platform.text import canonical, status_word
from backendai_ctl.result import LEVELS

_OK = {"ok": True, "fail": False, "warn": None, "skip": None}


@dataclass(frozen=True)
class Finding:
    """A check and what it gave. `why`: why it matters."""

    group: str
    name: str
    level: str
    message: str
    why: str
    hint: str


@dataclass(frozen=True)
class Report:
    """All findings of one run on one host. Holds no secret."""

    version: str
    host: str
    time: str  # ISO, UTC
    preflight: bool
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Problem]:
        """The checks that failed."""
        return [
            Problem(f"{finding.name}: {finding.message}", hint=finding.hint)
            for finding in self.findings
            if finding.level == "fail"
        ]

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(finding.level for finding in self.findings)
        return {level: found[level] for level in LEVELS}

    def data(self) -> dict[str, Any]:
        return {"format": 2, **summary(self.errors), "counts": self.counts, **asdict(self)}


def make(version: str, findings: Sequence[Finding], *, preflight: bool) -> Report:
    """A report of now and this host."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(version, socket.gethostname(), time, preflight, tuple(findings))


def show(report: Report, console: Console) -> None:
    """For people: a line a check, why and hint below those that are not ok."""
    console.print(f"Backend.AI {report.version} on {report.host}, {report.time}")
    group = ""
    for finding in report.findings:
        if finding.group != group:
            group = finding.group
            console.print(f"\n{group}", style="bold")
        line = Text.assemble("  ", status_word(f"{finding.level:<5}", _OK[finding.level]))
        console.print(line.append(f"{finding.name}: {finding.message}"))
        if finding.level in ("warn", "fail"):
            console.print(f"        why:  {finding.why}")
            if finding.hint:
                console.print(f"        hint: {finding.hint}")
    counts = ", ".join(f"{count} {level}" for level, count in report.counts.items() if count)
    console.print(f"\n{'FAILED' if report.errors else 'ok'}: {counts}")


@dataclass(frozen=True)
class Written:
    """Where a report is; `sha256` of its JSON."""

    json: Path
    text: Path
    sha256: str
    signature: Path | None = None


def write(report: Report, folder: Path, *, key: Path | None = None) -> Written:
    """Write TIME.json and TIME.txt (0640), and TIME.json.sig if `key` is given.

    `key` is a PEM file with an Ed25519 private key; the signature is its 64 plain bytes, of the
    JSON file as it is. Raises Problem.
    """
    return keep(report.time, report.data(), _plain(report), folder, key=key)


def keep(
    time: str, data: dict[str, Any], plain: str, folder: Path, *, key: Path | None = None
) -> Written:
    """As `write`, of any report: `time` is ISO and UTC, `plain` is the text. Raises Problem."""
    signer = load_key(key) if key else None
    name = time.replace(":", "").replace("+0000", "Z")
    content = canonical(data).encode()
    written = Written(
        folder / f"{name}.json",
        folder / f"{name}.txt",
        hashlib.sha256(content).hexdigest(),
        folder / f"{name}.json.sig" if signer else None,
    )
    files.write(written.json, content, mode=0o640)
    files.write(written.text, plain, mode=0o640)
    if signer and written.signature:
        files.write(written.signature, signer.sign(content), mode=0o640)
    return written


def _plain(report: Report) -> str:
    return plain(lambda console: show(report, console))


def plain(show: Callable[[Console], None]) -> str:
    """What `show` writes for people, as text without colours."""
    console = Console(width=1000, color_system=None, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        show(console)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def load_key(path: Path) -> Any:
    """The Ed25519 private key of a PEM file. Raises Problem."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    make_one = "make one: openssl genpkey -algorithm ed25519 -out KEYFILE"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", hint=make_one) from error
    except (ValueError, TypeError) as error:
        raise Problem(
            f"{path}: no private key in PEM without passphrase: {error}", hint=make_one
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Problem(f"{path}: not an Ed25519 key", hint=make_one)
    return key
