"""Point the private CPython at the host's CA certificates, wherever its distribution keeps them.

OpenSSL here is Debian's: by itself it looks in /usr/lib/ssl, which exists on Debian and Ubuntu
when their package openssl is installed. SSL_CERT_FILE and SSL_CERT_DIR of the user come first.
Runs at every start of the interpreter: only what is needed, and it must never fail.
"""

import os

_DEFAULT_FILE = "/usr/lib/ssl/cert.pem"
_DEFAULT_FOLDER = "/usr/lib/ssl/certs"
_KNOWN = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL and kin, all releases
    "/etc/pki/tls/certs/ca-bundle.crt",  # RHEL and kin, up to 9
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE, the file behind it
)


def _point_at_certificates() -> None:
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return
    try:
        if os.path.exists(_DEFAULT_FILE) or os.listdir(_DEFAULT_FOLDER):
            return
    except OSError:
        pass
    for path in _KNOWN:
        if os.access(path, os.R_OK):
            os.environ["SSL_CERT_FILE"] = path
            return


_point_at_certificates()
