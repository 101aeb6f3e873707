"""Does Python trust exactly what the host trusts? Runs inside a host, on the shipped environment.

make FOLDER: write a new CA (ca.crt), a server's key and its certificate (server.pem).
shake FOLDER: greet a server with that certificate over loopback TLS, with default settings;
prints "trusted" or the refusal.
count: print the number of authorities that a default context trusts.
"""

from __future__ import annotations

import datetime
import importlib
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any


def make(folder: Path) -> None:
    """A CA and a certificate for localhost that it signed."""
    # Imported by name: only the environment under test has it.
    x509: Any = importlib.import_module("cryptography.x509")
    primitives = "cryptography.hazmat.primitives"
    hashes: Any = importlib.import_module(f"{primitives}.hashes")
    serialization: Any = importlib.import_module(f"{primitives}.serialization")
    ec: Any = importlib.import_module(f"{primitives}.asymmetric.ec")

    def name(text: str) -> Any:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    common = (
        x509.CertificateBuilder()
        .issuer_name(name("test CA"))
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    ca = (
        common.subject_name(name("test CA"))
        .public_key(ca_key.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .add_extension(_ca_usage(x509), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        common.subject_name(name("localhost"))
        .public_key(key.public_key())
        .serial_number(2)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False
        )
        .sign(ca_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + server.public_bytes(pem))


def _ca_usage(x509: Any) -> Any:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
    flags = dict.fromkeys((*names.split(), "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**flags, key_cert_sign=True, crl_sign=True)


def shake(folder: Path) -> str:
    """One TLS handshake, client and server in this process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def serve() -> None:
        try:
            with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
                peer.recv(1)
        except OSError:
            pass  # the client says why

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            socket.create_connection(listener.getsockname(), timeout=20) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost"),
        ):
            return "trusted"
    except ssl.SSLCertVerificationError as refusal:
        return f"refused: {refusal.verify_message}"
    finally:
        thread.join()
        listener.close()


def count() -> int:
    """Authorities of a default context: those it loaded, or those of its hashed folder."""
    loaded = len(ssl.create_default_context().get_ca_certs())
    folder = ssl.get_default_verify_paths().capath
    return loaded or len(list(Path(folder).glob("*.0")) if folder else [])


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    elif sys.argv[1] == "shake":
        print(shake(Path(sys.argv[2])))
    else:
        print(count())
