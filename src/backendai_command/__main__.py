"""`backend.ai`: upstream's command, which trusts the site of its host and says which program it lacks."""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from typing import Any

from backendai_command import ssh, trust


def main() -> Any:
    """Run the command; what changes for it, changes in this process and in those it starts."""
    trust.install()
    if ssh.wanted(sys.argv[1:]):
        ssh.prepare(import_module("ai.backend.client.cli.session"))
    upstream = import_module("ai.backend.cli.__main__").main
    return upstream(max_content_width=shutil.get_terminal_size().columns - 2)


if __name__ == "__main__":
    sys.argv[0] = "backend.ai"
    sys.exit(main())
