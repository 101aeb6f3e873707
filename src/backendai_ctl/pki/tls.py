"""Certificates: a site's own authority, what it issues, and the operator's, checked before use."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    PrivateKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backendai_ctl.site.values import canonical

AUTHORITY_DAYS = 3652
SERVER_DAYS = 825  # browsers refuse longer ones
RENEW_DAYS = 30
_COMMON_NAME = 64  # RFC 5280, ub-common-name
_SKEW = timedelta(days=1)  # clocks of clients that are a little late


def new_key() -> bytes:
    """A private key as PEM: P-256, which every browser takes."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key(pem: bytes) -> PrivateKeyTypes:
    """The private key in a PEM text; ValueError if it is none or has a passphrase."""
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("it has a passphrase") from error


def authority(key: bytes, name: str) -> bytes:
    """The certificate of an authority with this key, as PEM, valid for ten years."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fitting(name))])
    private = _issuer_key(key)
    builder = (
        _builder(subject, subject, private.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue(authority_pem: bytes, authority_key: bytes, key: bytes, names: Sequence[str]) -> bytes:
    """A server's certificate for `names` (host names, IP addresses), as PEM."""
    issuer = x509.load_pem_x509_certificate(authority_pem)
    public = load_key(key).public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fitting(names[0]))])
    builder = (
        _builder(subject, issuer.subject, public, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
    )
    signed = builder.sign(_issuer_key(authority_key), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def fitting(name: str, end: str = "") -> str:
    """`name` and `end` as the common name of a certificate: whole characters, cut where it must be.

    The limit is counted in bytes by some and in characters by others; this one passes either way.
    """
    room = max(0, _COMMON_NAME - len(end.encode()))
    whole = name.encode()[:room].decode("utf-8", "ignore").rstrip() + end
    return whole.encode()[:_COMMON_NAME].decode("utf-8", "ignore").strip()


def begins_later(certificate: x509.Certificate) -> bool:
    """Whether a certificate is not valid yet."""
    return certificate.not_valid_before_utc > datetime.now(UTC)


def names_of(certificate: x509.Certificate) -> set[str]:
    """Host names and IP addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    hosts = found.get_values_for_type(x509.DNSName)
    return {*hosts, *map(str, found.get_values_for_type(x509.IPAddress))}


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate is for `host`; `*` stands for one label."""
    wanted = canonical(host)
    names = {name.lower() for name in names_of(certificate)}
    return wanted in names or f"*.{wanted.partition('.')[2]}" in names


def days_left(certificate: x509.Certificate) -> float:
    """Days until a certificate ends; negative after."""
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)


def matches(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether certificate and key belong together."""
    return certificate.public_key() == key.public_key()


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def faults(chain_pem: bytes, key_pem: bytes, host: str) -> list[str]:
    """What keeps a certificate with its issuers and a key from serving `host`."""
    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
    except ValueError:
        return ["the certificate file holds no PEM certificate"]
    try:
        key = load_key(key_pem)
    except (ValueError, x509.InvalidVersion) as error:
        return [f"the key file holds no usable private key: {error}"]
    return list(_chain_faults(chain, key, host))


def _chain_faults(
    chain: Sequence[x509.Certificate], key: PrivateKeyTypes, host: str
) -> Iterable[str]:
    server = chain[0]
    if not matches(server, key):
        yield "the key does not belong to the first certificate"
    if not covers(server, host):
        yield f"it is for {', '.join(sorted(names_of(server))) or 'no name'}, not for {host}"
    now = datetime.now(UTC)
    for number, certificate in enumerate(chain, 1):
        if certificate.not_valid_after_utc < now:
            yield f"certificate {number} ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
        if begins_later(certificate):
            yield f"certificate {number} starts on {certificate.not_valid_before_utc:%Y-%m-%d}"
        if number < len(chain) and not issued_by(certificate, chain[number]):
            yield f"certificate {number} was not issued by certificate {number + 1}"


def _builder(
    subject: x509.Name, issuer: x509.Name, public: object, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now - _SKEW + timedelta(days=days))
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public),  # type: ignore[arg-type]
            critical=False,
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issuer_key(pem: bytes) -> CertificateIssuerPrivateKeyTypes:
    key = load_key(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an EC key")
    return key
