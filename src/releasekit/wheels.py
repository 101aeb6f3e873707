"""Lay wheels out as an installer would, for a place that is not this machine's.

The well-kept `installer` library does the laying out; here are only the differences that packages
need: nothing under a path of the build, pruned files, and records that tell the truth afterwards.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from releasekit.errors import Failure
from releasekit.locks import canonical
from releasekit.prune import Rule, rule_for


@dataclass(frozen=True)
class Installed:
    """A distribution as laid out: its canonical name, version and `.dist-info` folder."""

    name: str
    version: str
    info: Path


def install_wheel(
    wheel: Path, environment: Path, *, python: str, shown_as: str, rules: Iterable[Rule]
) -> Installed:
    """Install `wheel` into the folder `environment`, which on a host will be `shown_as`.

    `python`: its version, such as 3.13.

    Scripts start `shown_as/bin/python -I`, so a host's PYTHONPATH or user site never reaches them.
    Headers are not installed. Raises Failure for a broken wheel or a path that already exists.
    """
    site = environment / f"lib/python{python}/site-packages"
    headers = environment / ".headers"
    scheme = {
        "purelib": site,
        "platlib": site,
        "scripts": environment / "bin",
        "data": environment,
        "headers": headers,
    }
    installed = lay_out(wheel, scheme, f"{shown_as}/bin/python")
    shutil.rmtree(headers, ignore_errors=True)
    _settle(installed, environment, shown_as, tuple(rules))
    return installed


def lay_out(wheel: Path, scheme: Mapping[str, Path], interpreter: str) -> Installed:
    """Lay `wheel` out by a scheme of `installer`; its scripts start `interpreter`.

    Raises Failure for a broken wheel or a path that already exists.
    """
    destination = SchemeDictionaryDestination(
        scheme_dict={name: str(path) for name, path in scheme.items()},
        interpreter=interpreter,
        script_kind="posix",
    )
    try:
        with WheelFile.open(wheel) as source:
            install(
                source=source,
                destination=destination,
                additional_metadata={"INSTALLER": b"backendai-packaged\n"},
            )
            # file names spell a distribution with underscores, prune tables by its canonical name
            name = canonical(source.distribution)
            return Installed(name, source.version, scheme["purelib"] / source.dist_info_dir)
    except FileExistsError as error:
        raise Failure(
            f"{wheel.name}: {error}",
            hint="two distributions carry the same file: prune it from one in packaging/common/prune.toml",
        ) from error
    except (InstallerError, BadZipFile, ValueError, OSError) as error:
        raise Failure(
            f"{wheel.name}: cannot be installed: {error}", hint="renew the lock"
        ) from error


def _settle(
    installed: Installed, environment: Path, shown_as: str, rules: tuple[Rule, ...]
) -> None:
    """Prune files, isolate scripts, and rewrite RECORD to what is there."""
    site = installed.info.parent
    record = installed.info / "RECORD"
    kept = []
    for path, digest, size in _rows(record):
        file = Path(os.path.normpath(site / path))
        if not file.exists():
            continue  # a header
        if rule_for(rules, installed.name, path):
            file.unlink()
            _remove_empty(file.parent, site)
            continue
        if file.parent == environment / "bin" and _isolate(file, shown_as):
            digest, size = _fingerprint(file)
        kept.append((path, digest, size))
    _write_rows(record, kept)


def renew_record(site: Path, path: str) -> None:
    """Record a file below `site` as it is now, after it was changed on purpose.

    Raises Failure when no distribution lists it.
    """
    for record in sorted(site.glob("*.dist-info/RECORD")):
        rows = _rows(record)
        if any(row[0] == path for row in rows):
            fresh = (path, *_fingerprint(site / path))
            _write_rows(record, [fresh if row[0] == path else row for row in rows])
            return
    raise Failure(f"{path}: no RECORD lists it", hint="give a path relative to site-packages")


def _rows(record: Path) -> list[tuple[str, str, str]]:
    return [(row[0], row[1], row[2]) for row in csv.reader(io.StringIO(record.read_text("utf-8")))]


def _write_rows(record: Path, rows: list[tuple[str, str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(sorted(rows))
    record.write_text(out.getvalue(), "utf-8")


def _fingerprint(file: Path) -> tuple[str, str]:
    data = file.read_bytes()
    encoded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={encoded}", str(len(data))


def _isolate(script: Path, shown_as: str) -> bool:
    plain, isolated = (
        f"#!{shown_as}/bin/python\n".encode(),
        f"#!{shown_as}/bin/python -I\n".encode(),
    )
    data = script.read_bytes()
    if not data.startswith(plain):
        return False
    script.write_bytes(isolated + data[len(plain) :])
    return True


def _remove_empty(folder: Path, stop: Path) -> None:
    while folder != stop and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
