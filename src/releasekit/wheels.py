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
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from releasekit.errors import Failure
from releasekit.prune import Rule, rule_for

PYTHON_DIR = "lib/python3.13"


@dataclass(frozen=True)
class Installed:
    """A distribution as laid out: its name, version and `.dist-info` folder."""

    name: str
    version: str
    info: Path


def install_wheel(
    wheel: Path, environment: Path, *, shown_as: str, rules: Iterable[Rule]
) -> Installed:
    """Install `wheel` into the folder `environment`, which on a host will be `shown_as`.

    Scripts start `shown_as/bin/python -I`, so a host's PYTHONPATH or user site never reaches them.
    Headers are not installed. Raises Failure for a broken wheel or a path that already exists.
    """
    site = environment / PYTHON_DIR / "site-packages"
    headers = environment / ".headers"
    scheme = {
        "purelib": str(site),
        "platlib": str(site),
        "scripts": str(environment / "bin"),
        "data": str(environment),
        "headers": str(headers),
    }
    destination = SchemeDictionaryDestination(
        scheme_dict=scheme, interpreter=f"{shown_as}/bin/python", script_kind="posix"
    )
    try:
        with WheelFile.open(wheel) as source:
            install(
                source=source,
                destination=destination,
                additional_metadata={"INSTALLER": b"backendai-packaged\n"},
            )
            installed = Installed(
                source.distribution, source.version, site / source.dist_info_dir
            )
    except FileExistsError as error:
        raise Failure(
            f"{wheel.name}: {error}",
            hint="two distributions carry the same file: prune it from one in packaging/common/prune.toml",
        ) from error
    except (InstallerError, ValueError, OSError) as error:
        raise Failure(f"{wheel.name}: cannot be installed: {error}", hint="renew the lock") from error
    shutil.rmtree(headers, ignore_errors=True)
    _settle(installed, environment, shown_as, tuple(rules))
    return installed


def _settle(installed: Installed, environment: Path, shown_as: str, rules: tuple[Rule, ...]) -> None:
    """Prune files, isolate scripts, and rewrite RECORD to what is there."""
    site = environment / PYTHON_DIR / "site-packages"
    record = installed.info / "RECORD"
    rows = list(csv.reader(io.StringIO(record.read_text("utf-8"))))
    kept = []
    for path, digest, size in rows:
        file = Path(os.path.normpath(site / path))
        if not file.exists():
            continue  # a header
        if rule_for(rules, installed.name, path):
            file.unlink()
            _remove_empty(file.parent, site)
            continue
        if file.parent == environment / "bin" and _isolate(file, shown_as):
            data = file.read_bytes()
            encoded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            digest, size = f"sha256={encoded}", str(len(data))
        kept.append((path, digest, size))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(sorted(kept))
    record.write_text(out.getvalue(), "utf-8")


def _isolate(script: Path, shown_as: str) -> bool:
    plain, isolated = f"#!{shown_as}/bin/python\n".encode(), f"#!{shown_as}/bin/python -I\n".encode()
    data = script.read_bytes()
    if not data.startswith(plain):
        return False
    script.write_bytes(isolated + data[len(plain) :])
    return True


def _remove_empty(folder: Path, stop: Path) -> None:
    while folder != stop and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
