"""What the site's registry is told of those who pull from it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import bcrypt

from backendai_ctl.context import Context
from backendai_ctl.rendering.places import credential
from backendai_ctl.site.values import LOOPBACK, bracketed
from backendai_ctl.topology import registry
from backendai_ctl.topology.listeners import bind, port_of

# The registry knows bcrypt alone, and computes it for every request: the least that it takes is enough for
# a password of 256 random bits.
_COST = 4
_BCRYPT = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)


def login(ctx: Context) -> str:
    """The line of htpasswd(1) of whoever pulls. The same password gives the same line."""
    password = ctx.secrets.get(registry.SECRET).encode()
    salt = base64.b64encode(hashlib.sha256(b"salt" + password).digest()[:16]).translate(_BCRYPT)
    rounds = f"$2b${_COST:02}$".encode()
    return f"{registry.USER}:{bcrypt.hashpw(password, rounds + salt[:22]).decode()}"


def http(ctx: Context) -> dict[str, Any]:
    """Where it listens: with TLS where that is not loopback."""
    server = ctx.facts.servers[registry.NAME]
    host, port = bind(ctx, registry.NAME, registry.PORT), port_of(ctx, server, registry.PORT)
    made: dict[str, Any] = {"addr": f"{bracketed(host)}:{port}"}
    if host != LOOPBACK:
        made["tls"] = {
            "certificate": str(credential(server, "server.crt")),
            "key": str(credential(server, "server.key")),
            "minimumtls": "tls1.2",
        }
    return made
