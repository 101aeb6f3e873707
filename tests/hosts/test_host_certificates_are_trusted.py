"""Promise: Python trusts the host's CA certificates, wherever Debian or EL keep them."""

from __future__ import annotations

from scenario import INSIDE, PYTHON, VENV_PYTHON, Installed
from suites import DEBIAN

PROBE = f"{INSIDE}/probe_trust.py"
FOLDER = "/tmp/trust"
LOCAL = "/usr/local/share/ca-certificates/test.crt"
BUNDLE = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
# shell lines: make the host trust FOLDER's authority, and undo it
DEBIAN_WAY = (
    f"cp {FOLDER}/ca.crt {LOCAL}; update-ca-certificates",
    f"rm {LOCAL}; update-ca-certificates --fresh",
)
EL_WAY = (  # what update-ca-trust writes; the tool itself is not in the root
    f"cp {BUNDLE} {FOLDER}/kept; cat {FOLDER}/ca.crt >>{BUNDLE}",
    f"cat {FOLDER}/kept >{BUNDLE}",
)


def test_default_context_knows_the_hosts_authorities(installed: Installed) -> None:
    for python in (PYTHON, VENV_PYTHON):
        assert int(installed.host.check([python, PROBE, "count"]).stdout) > 50


def test_authority_added_to_the_host_is_trusted(installed: Installed) -> None:
    """As an operator does for a site's own CA; refused before, trusted after, refused again."""
    host = installed.host
    add, remove = DEBIAN_WAY if installed.suite in DEBIAN else EL_WAY
    host.check([VENV_PYTHON, PROBE, "make", FOLDER])
    shake = [VENV_PYTHON, PROBE, "shake", FOLDER]
    assert "refused" in host.check(shake).stdout
    host.sh(add)
    try:
        assert host.check(shake).stdout.strip() == "trusted"
    finally:
        host.sh(remove)
    assert "refused" in host.check(shake).stdout
