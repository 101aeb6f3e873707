"""A second cache with the same locked files, from which everything else is made anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from releasekit.errors import Failure


def fetch_all(root: Path) -> None:
    """Have the launcher fetch every locked file into the user's cache, with what 3.9 is made of."""
    for words in (["ensure"], ["debs", "python3.9"], ["debs", "pip"]):
        done = subprocess.run(
            [sys.executable, "-B", "-m", "bootstrap", *words],
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise Failure("the launcher could not fetch the locked files", hint="see above")


def built_here(root: Path) -> set[str]:
    """sha256 of the wheels that the launcher builds from source: derived, so not to be shared."""
    lock = json.loads((root / "packaging/locks/python.lock").read_text(encoding="utf-8"))
    return {entry["sha256"] for entry in lock["packages"].values() if "sdist" in entry}


def share_inputs(cache: Path, target: Path, *, without: set[str]) -> int:
    """Give the new cache `target` the locked files of `cache`, by hard links; return their number.

    Where links are refused (another filesystem, a file of another user) the file is copied.
    """
    count = 0
    for source in sorted((cache / "files").glob("*/*")):
        if source.parent.name in without or source.name.startswith("."):
            continue
        copy = target / "files" / source.parent.name / source.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, copy)
        except OSError:
            shutil.copyfile(source, copy)
            copy.chmod(0o444)
        count += 1
    if (cache / "drift").is_dir():
        shutil.copytree(cache / "drift", target / "drift")
    return count
