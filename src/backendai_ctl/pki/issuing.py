"""Certificates of what browsers reach: issued by the site's own authority, or the operator's.

They are made with TLS off as well, so that the services always find the files they are given.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.pki import tls
from backendai_ctl.platform import clock, files
from backendai_ctl.site.values import WILDCARDS, canonical, host
from backendai_ctl.topology import layout
from backendai_ctl.topology.holders import joined


@dataclass(frozen=True)
class _Files:
    """The authority's files, and those of one certificate that it issued."""

    folder: Path
    issued: str = "server"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def ca_key(self) -> Path:
        return self.folder / "ca.key"

    @property
    def server(self) -> Path:
        return self.folder / f"{self.issued}.crt"

    @property
    def key(self) -> Path:
        return self.folder / f"{self.issued}.key"

    @property
    def trust(self) -> Path:
        """What the services trust besides the host's authorities; public."""
        return self.folder / "trust.crt"

    @property
    def registries(self) -> Path:
        """What the manager trusts besides, where registries have authorities of their own; public."""
        return self.folder / "registries.crt"

    @property
    def of_nodes(self) -> Path:
        """What was issued for other nodes; theirs alone, so nobody else's to enter."""
        return self.folder / "nodes"

    def of_node(self, node: str) -> _Files:
        return _Files(self.folder, f"{self.of_nodes.name}/{node}")


def names(ctx: Context) -> list[str]:
    """What the server's certificate is for, the site's address first."""
    site = ctx.site
    if ctx.node:
        return names_of_node(ctx, ctx.node)
    wanted = [site.site.address, "localhost", _host_name(), "127.0.0.1", "::1"]
    if site.network.listen not in WILDCARDS:
        wanted.append(site.network.listen)
    wanted += _of_apps(ctx, "")
    return list(dict.fromkeys(canonical(name) for name in wanted if name))


def _host_name() -> str:
    """What this host calls itself; empty if no certificate can be for that."""
    try:
        return host(socket.gethostname())
    except ValueError:
        return ""


def names_of_node(ctx: Context, node: str) -> list[str]:
    """What the certificate of a node is for; the same wherever it is worked out."""
    public = layout.public_host(ctx.site, ctx.facts, node)
    wanted = [public, ctx.site.site.address, "localhost", node, ctx.site.nodes[node].address]
    wanted += ["127.0.0.1", "::1", *_of_apps(ctx, node)]
    return list(dict.fromkeys(map(canonical, wanted)))


def _of_apps(ctx: Context, node: str) -> list[str]:
    domain = layout.apps_domain(ctx.site, ctx.facts, node)
    return [f"*.{domain}"] if domain else []


def issue_for(ctx: Context, node: str, *, dry_run: bool = False) -> tuple[bytes, bytes]:
    """Certificate and key of another node, by the site's authority. Problem if it is not here.

    They are kept, and the same each time until one has to be renewed: a node that is given nothing
    new restarts nothing. With dry_run, nothing is written.
    """
    found, wanted = _Files(ctx.paths.tls).of_node(node), names_of_node(ctx, node)
    if _why_renew(ctx, found, wanted):
        certificate, key = _issued_anew(found, wanted)
        if not dry_run:
            files.make_folder(found.of_nodes, mode=0o700)
            _write(found, certificate, key)
        return certificate, key
    return _read(found.server) or b"", _read(found.key) or b""


Work = list[tuple[Change, Callable[[], object]]]


def work(ctx: Context) -> Work:
    """What is to be done, each with what does it; what a file becomes depends on those before it."""
    found = _Files(ctx.paths.tls)
    own = ctx.site.tls.mode == "own"
    todo = _own(ctx, found) if own else _issued(ctx, found)
    trust = found.server if own else found.ca
    text = _read(trust)
    if not todo and text != _read(found.trust):
        todo.append(
            (
                Change(str(found.trust), f"the services trust {trust}"),
                lambda: files.write(found.trust, text or b"", mode=0o644),
            )
        )
    return todo or _registries(ctx, found)


def _registries(ctx: Context, found: _Files) -> Work:
    """The manager alone trusts the authorities of other registries: it reads what is in them."""
    given = [one.ca for one in ctx.site.registries.values() if one.ca and ctx.here("manager")]
    if not given:
        gone = Change(str(found.registries), "remove it: no registry has an authority of its own")
        return [(gone, found.registries.unlink)] if found.registries.exists() else []
    texts = [text for path in (found.trust, *dict.fromkeys(given)) if (text := _read(path))]
    whole = b"\n".join(text.strip() for text in texts) + b"\n"
    if whole == _read(found.registries):
        return []
    change = Change(str(found.registries), "the manager trusts the authorities of registries")
    return [(change, lambda: files.write(found.registries, whole, mode=0o644))]


def remove(ctx: Context) -> None:
    """Take away what was made here: the authority, too."""
    found = _Files(ctx.paths.tls)
    for path in (found.ca, found.ca_key, found.server, found.key, found.trust, found.registries):
        path.unlink(missing_ok=True)
    if found.of_nodes.is_dir():
        shutil.rmtree(found.of_nodes)


def _own(ctx: Context, found: _Files) -> Work:
    certificate, key = ctx.site.tls.certificate, ctx.site.tls.key
    if certificate is None or key is None:  # the site file was checked for it
        raise Problem("no certificate is named", hint="see [tls] in the site file")
    chain, private = _read(certificate) or b"", _read(key) or b""
    if wrong := tls.faults(chain, private, ctx.site.site.address):
        raise Problem(
            f"{certificate}: {'; '.join(wrong)}",
            hint='give a certificate that serves this site, or set mode = "site-ca" in [tls]',
        )
    work: Work = []
    # The key first: a certificate is useless until its key is there.
    for source, data, target, mode in (
        (key, private, found.key, 0o600),
        (certificate, chain, found.server, 0o644),
    ):
        if _read(target) != data:
            work.append((Change(str(target), f"copy {source}"), _writer(target, data, mode)))
    return work


def _issued(ctx: Context, found: _Files) -> Work:
    if joined(ctx):
        absent = "" if found.ca.exists() else "there is no authority"
        reason = absent or _early(ctx, found.ca) or _why_renew(ctx, found, names(ctx))
        if reason:
            raise Problem(
                f"{found.server}: needs to be issued by the site's authority: {reason}",
                hint=f"on the management node: backendai-ctl node export {ctx.node}; here: "
                "backendai-ctl node join FILE",
            )
        return []
    if not found.ca.exists():
        return [
            (
                Change(str(found.ca), "create the site's certificate authority"),
                lambda: _create_authority(ctx, found),
            )
        ]
    if reason := _early(ctx, found.ca):
        # Nobody can have used it: it becomes valid without a new key.
        return [
            (
                Change(str(found.ca), f"make it anew: {reason}"),
                lambda: _create_authority(ctx, found),
            )
        ]
    wanted = names(ctx)
    if reason := _why_renew(ctx, found, wanted):
        return [
            (
                Change(str(found.server), f"issue it: {reason}"),
                lambda: _write(found, *_issued_anew(found, wanted)),
            )
        ]
    return []


def _create_authority(ctx: Context, found: _Files) -> None:
    key = _read(found.ca_key)
    if key is None:
        key = tls.new_key()
        files.write(found.ca_key, key, mode=0o600)
    name = tls.fitting(ctx.site.site.name, f" site CA ({ctx.site.site.address})")
    files.write(found.ca, tls.authority(key, name), mode=0o644)


def _early(ctx: Context, path: Path) -> str:
    """Why a certificate is not valid yet, by a clock that can be right; empty if it is valid."""
    try:
        certificate = x509.load_pem_x509_certificate(_read(path) or b"")
    except ValueError:
        return ""  # told elsewhere
    if not tls.begins_later(certificate):
        return ""
    if shown := clock.behind(ctx.paths.share):
        raise Problem(
            f"{path} is not valid yet, but this host's clock ({shown}) is before this release",
            hint="set the clock: timedatectl set-time; then run: backendai-ctl reconfigure",
        )
    begins = certificate.not_valid_before_utc
    return f"it begins on {begins:%Y-%m-%d}: the clock was ahead when it was made"


def _why_renew(ctx: Context, found: _Files, wanted: list[str]) -> str:
    """Why a new certificate is needed for these names; empty if it is not."""
    current, key = _read(found.server), _read(found.key)
    if current is None or key is None:
        return "there is none"
    try:
        server = x509.load_pem_x509_certificate(current)
        if not tls.matches(server, tls.load_key(key)):
            return "its key is another one"
    except ValueError:
        return "the one there is not readable"
    if not tls.issued_by(server, _authority(found)):
        return "the site's authority did not issue the one there"
    if tls.names_of(server) != set(wanted):
        return f"it does not cover all of {', '.join(wanted)}"
    if early := _early(ctx, found.server):
        return early
    if tls.days_left(server) < tls.RENEW_DAYS:
        return f"the one there ends on {server.not_valid_after_utc:%Y-%m-%d}"
    return ""


def _issued_anew(found: _Files, wanted: list[str]) -> tuple[bytes, bytes]:
    """A certificate, and its key: the one that is there, or a new one."""
    issuer, key = _issuer(found), _read(found.key)
    if key is None or not _usable(key):
        key = tls.new_key()
    return tls.issue(_read(found.ca) or b"", issuer, key, wanted), key


def _write(found: _Files, certificate: bytes, key: bytes) -> None:
    files.write(found.key, key, mode=0o600)
    files.write(found.server, certificate, mode=0o644)


def _issuer(found: _Files) -> bytes:
    """The key of the site's authority; Problem if it cannot issue anything."""
    issuer = _authority(found)
    ca_key = _read(found.ca_key)
    if ca_key is None or not tls.matches(issuer, tls.load_key(ca_key)):
        raise Problem(
            f"{found.ca_key}: the key of {found.ca} is not there",
            hint=f"restore it; or move {found.ca} away to have a new authority created, and import that "
            "one into all browsers",
        )
    if tls.days_left(issuer) < tls.RENEW_DAYS:
        raise Problem(
            f"{found.ca}: the site's authority ends on {issuer.not_valid_after_utc:%Y-%m-%d}",
            hint=f"move {found.ca} and {found.ca_key} away to have a new authority created, and import "
            "that one into all browsers",
        )
    return ca_key


def _usable(key: bytes) -> bool:
    try:
        tls.load_key(key)
    except ValueError:
        return False
    return True


def _authority(found: _Files) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(found.ca) or b"")
    except ValueError as error:
        raise Problem(
            f"{found.ca}: not a PEM certificate", hint="put the site's authority back"
        ) from error


def _writer(path: Path, data: bytes, mode: int) -> Callable[[], object]:
    return lambda: files.write(path, data, mode=mode)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problem(f"{path}: cannot be read: {error.strerror}", hint="run it as root") from error
