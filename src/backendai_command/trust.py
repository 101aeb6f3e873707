"""Has TLS connections of this process trust the site of its host, besides whom the host trusts.

Not by SSL_CERT_FILE: that would replace the host's own store where its distribution keeps it elsewhere
than OpenSSL looks, and it would be handed on to an editor or a shell. Who sets it, or SSL_CERT_DIR, has
said whom to trust, and is obeyed.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from pathlib import Path
from typing import Any

# The site's authority, or the certificate that the operator gave the site; public.
AUTHORITY = Path("/etc/backendai/tls/trust.crt")


def install(authority: Path = AUTHORITY) -> None:
    """Do so, where there is a site and nobody said otherwise."""
    if _said() or not os.access(authority, os.R_OK):
        return
    plain = ssl.SSLContext.load_default_certs

    def and_the_site(self: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        plain(self, purpose)
        if purpose == ssl.Purpose.SERVER_AUTH:
            with contextlib.suppress(OSError):  # it is being replaced, or broken
                self.load_verify_locations(authority)

    changed: Any = ssl.SSLContext
    changed.load_default_certs = and_the_site


def _said() -> bool:
    """Whether the environment says whom to trust. The runtime itself names the host's store there."""
    hosts = getattr(sys.modules.get("sitecustomize"), "_KNOWN", ())
    named = os.environ.get("SSL_CERT_FILE", "")
    return bool(os.environ.get("SSL_CERT_DIR")) or bool(named and named not in hosts)
