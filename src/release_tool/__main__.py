"""`python -m release_tool`, and what the one file in the bundle starts."""

from __future__ import annotations

import sys

from release_tool.cli import main
from releasekit.errors import run_main


def run() -> None:
    run_main(lambda: main(sys.argv[1:]))


if __name__ == "__main__":
    run()
