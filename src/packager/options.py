"""Where the launcher keeps what it set up. `./pants` passes both by environment (see pants.toml)."""

from __future__ import annotations

from pants.option.option_types import StrOption
from pants.option.subsystem import Subsystem


class Packager(Subsystem):
    options_scope = "backendai"
    help = "How Backend.AI is turned into packages."

    cache = StrOption(
        default="",
        help="Folder of the launcher's cache; locked files are in `files/SHA256/NAME` below it.",
    )
    python = StrOption(
        default="",
        help="The CPython 3.13 that runs releasekit's programs, assembled by the launcher.",
    )
