"""Checks of the certificates that browsers and clients are shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from backendai_ctl.context import Context
from backendai_ctl.pki import tls
from backendai_ctl.platform import clock
from backendai_ctl.result import Result, fail, ok, skip, warn, worst

SOON = 20  # days; create-certificates renews its own before that
RENEW = {
    "site-ca": "run: backendai-ctl reconfigure",
    "own": "put a good one where tls.certificate says, then run: backendai-ctl reconfigure",
}


def validity(ctx: Context) -> Result:
    """The server's certificate, its issuers and the site's authority are valid now."""
    return _look(ctx, "*.crt", _validity)


def names(ctx: Context) -> Result:
    """The server's certificate is for the address by which the site is reached."""
    return _look(ctx, "server.crt", _names)


def keys(ctx: Context) -> Result:
    """The private key belongs to the server's certificate."""
    return _look(ctx, "server.crt", _key)


def _look(ctx: Context, pattern: str, look: Callable[[Context, Path], Result]) -> Result:
    if ctx.site.tls.mode == "off":
        return skip('tls.mode is "off"')
    found = sorted(ctx.paths.tls.glob(pattern))
    if not found:
        return skip("no certificate yet")
    results = []
    for path in found:
        try:
            results.append(look(ctx, path))
        except (OSError, ValueError) as failure:
            results.append(fail(f"{path}: {failure}", RENEW[ctx.site.tls.mode]))
    return worst(results, fine="; ".join(result.message for result in results))


def _validity(ctx: Context, path: Path) -> Result:
    results = []
    hint = RENEW[ctx.site.tls.mode]
    for certificate in x509.load_pem_x509_certificates(path.read_bytes()):
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if tls.days_left(certificate) < 0:
            results.append(fail(f"{path} ended on {ends:%Y-%m-%d}", hint))
        elif tls.begins_later(certificate):
            behind = clock.behind(ctx.paths.share)
            saw = f"{path} begins on {begins:%Y-%m-%d}, the clock says {datetime.now(UTC):%Y-%m-%d}"
            set_clock = "set the clock of this host: timedatectl set-time"
            results.append(fail(saw, set_clock if behind else hint))
        elif tls.days_left(certificate) < SOON:
            results.append(warn(f"{path} ends on {ends:%Y-%m-%d}", hint))
        else:
            results.append(ok(f"{path.name} until {ends:%Y-%m-%d}"))
    return worst(results, fine=results[0].message)


def _names(ctx: Context, path: Path) -> Result:
    certificate = _first(path)
    shown = ", ".join(sorted(tls.names_of(certificate))) or "no name"
    if tls.covers(certificate, ctx.site.site.address):
        return ok(f"for {shown}")
    saw = f"{path} is for {shown}, not for site.address {ctx.site.site.address}"
    return fail(saw, RENEW[ctx.site.tls.mode])


def _key(ctx: Context, path: Path) -> Result:
    key = path.with_suffix(".key")
    if tls.matches(_first(path), tls.load_key(key.read_bytes())):
        return ok(f"{key.name} belongs to {path.name}")
    return fail(f"{key} does not belong to {path}", RENEW[ctx.site.tls.mode])


def _first(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]
