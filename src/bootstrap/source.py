"""Which commit is built: what the provenance of a release states."""

from __future__ import annotations

import subprocess
from pathlib import Path

UNKNOWN = "unknown"
VARIABLES = ("BACKENDAI_COMMIT", "BACKENDAI_TREE")  # as pants.toml reads them


def environment(root: Path) -> dict[str, str]:
    """The variables for Pants: commit and tree of the checkout `root`.

    The commit ends in `-dirty` when a file differs from it or is new; both are "unknown" where git
    does not tell, as in an unpacked archive.
    """
    try:
        commit, tree = _git(root, "rev-parse", "HEAD", "HEAD^{tree}").split()
        changed = _git(root, "status", "--porcelain", "--untracked-files=normal").strip()
    except (OSError, ValueError, subprocess.CalledProcessError):
        return dict.fromkeys(VARIABLES, UNKNOWN)
    return dict(zip(VARIABLES, (f"{commit}-dirty" if changed else commit, tree)))


def _git(root: Path, *argv: str) -> str:
    # A lock for refreshing the index would disturb a git that the user runs meanwhile.
    command = ["git", "--no-optional-locks", "-C", str(root), *argv]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
