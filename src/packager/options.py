"""What the launcher set up. `./pants` passes it by environment (see pants.toml)."""

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


class Signing(Subsystem):
    """Apart from `backendai`: what signs nothing is not asked anew when the key changes."""

    options_scope = "backendai-signing"
    help = "The key that signs a release. Its private half stays with gpg-agent."

    gpg = StrOption(default="", help="The program gpg of this machine.")
    home = StrOption(default="", help="The folder where gpg finds the key (GNUPGHOME).")
    fingerprint = StrOption(default="", help="The key's fingerprint, 40 hexadecimal digits.")
    kind = StrOption(default="", help="`given` by BACKENDAI_SIGNING_KEY, or a `local` one.")
    keyring = StrOption(
        default="",
        help="The public keys that hosts shall trust, in base64: this one and older ones.",
    )
